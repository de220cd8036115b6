"""Documents of networks as administrators and other tools write them: every combination of parts that libvirt knows."""

from __future__ import annotations

from itertools import product

#: What an own bridge may have in front of it; one part a line.
_FORWARDS = """
<forward mode='nat'/>
<forward mode='nat' dev='eth0'><nat><port start='500' end='1000'/></nat><interface dev='eth0'/></forward>
<forward mode='route' dev='eth0'><interface dev='eth0'/></forward>
<forward mode='open'/>
"""
_BRIDGES = """
<bridge name='virbr7' stp='off' delay='5' zone='trusted' macTableManager='libvirt'/><mac address='52:54:00:5a:5a:5a'/>
"""
_NAMES = """
<domain name='lab.test'/><dns enable='yes'><forwarder domain='a.test' addr='192.0.2.53'/><txt name='t' value='v'/></dns>
<dns><srv service='ldap' protocol='tcp' target='x'/>\
<host ip='10.1.2.9'><hostname>w</hostname><hostname>f</hostname></host></dns>
"""
_ADDRESSES = """
<ip address='10.1.2.1' netmask='255.255.255.0'><dhcp><range start='10.1.2.2' end='10.1.2.254'/></dhcp></ip>
<ip address='10.1.2.254' prefix='24' localPtr='yes'/><ip family='ipv6' address='fd00::1' prefix='64'/>
<ip address='10.1.2.1' prefix='24'><tftp root='/t'/><dhcp><range start='10.1.2.10' end='10.1.2.20'><lease expiry='9'/>\
</range><range start='10.1.2.30' end='10.1.2.40'/><host mac='52:54:00:00:00:01' name='web' ip='10.1.2.7'/>\
<host name='only' ip='10.1.2.8'/><bootp file='x' server='y'/></dhcp></ip><ip address='10.9.9.1' prefix='24'/>
"""
_REST = """
<bandwidth><inbound average='1000' peak='5000' burst='5120'/></bandwidth><port isolated='yes'/>\
<portgroup name='slow' default='yes'><bandwidth><outbound average='10'/></bandwidth></portgroup>
<metadata><x:thing xmlns:x='http://else/where'>theirs</x:thing></metadata><mtu size='9000'/>\
<route family='ipv4' address='10.3.0.0' prefix='16' gateway='10.1.2.2' metric='2'/>\
<d:options xmlns:d='http://libvirt.org/schemas/network/dnsmasq/1.0'><d:option value='log-queries'/></d:options>
"""
#: What hands guests on to the host's network.
_OUTER = """
<forward mode='bridge'/><bridge name='br0'/>
<forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/><vlan trunk='yes'>\
<tag id='42' nativeMode='untagged'/><tag id='47'/></vlan><portgroup name='red'><vlan><tag id='7'/></vlan></portgroup>
<forward mode='bridge'><interface dev='eth0'/></forward>
<forward mode='private' dev='eth0'><interface dev='eth0'/><interface dev='eth1'/></forward>
<forward mode='vepa'><interface dev='eth0'/></forward>
"""

_HEAD = "<network><name>odd</name><uuid>11111111-2222-4333-8444-555555555555</uuid>"


def _lines(text: str) -> list[str]:
    return text.strip().splitlines()


#: Each part may be missing.
_PARTS = [["", *_lines(text)] for text in (_FORWARDS, _BRIDGES, _NAMES, _ADDRESSES, _REST)]
OWN = tuple(f"{_HEAD}{''.join(parts)}</network>" for parts in product(*_PARTS))
OUTER = tuple(f"{_HEAD}{part}</network>" for part in _lines(_OUTER))
