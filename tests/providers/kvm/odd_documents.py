"""Documents of VMs as people and other tools write them: all that the schema allows and the portal knows nothing of."""

from __future__ import annotations

import random

QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"

#: Parent → elements that may stand in it, each for itself.
PIECES: dict[str, tuple[str, ...]] = {
    "domain": (
        "<title>A title &amp; more</title>",
        "<description><![CDATA[<b>bold</b> & so on]]></description>",
        (
            '<metadata><libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">'
            '<libosinfo:os id="http://debian.org/debian/12"/></libosinfo:libosinfo>'
            '<my:note xmlns:my="urn:somebody:else" my:kind="x"><my:deep>text</my:deep></my:note></metadata>'
        ),
        "<iothreads>2</iothreads>",
        "<blkiotune><weight>500</weight></blkiotune>",
        "<memtune><hard_limit unit='KiB'>4194304</hard_limit></memtune>",
        "<numatune><memory mode='strict' nodeset='0'/></numatune>",
        "<resource><partition>/machine</partition></resource>",
        "<on_poweroff>destroy</on_poweroff>",
        "<on_crash>restart</on_crash>",
        "<pm><suspend-to-mem enabled='no'/></pm>",
        "<perf><event name='cmt' enabled='yes'/></perf>",
        "<seclabel type='dynamic' model='dac' relabel='yes'/>",
        "<sysinfo type='smbios'><bios><entry name='vendor'>LENOVO</entry></bios></sysinfo>",
        "<memoryBacking><nosharepages/><locked/></memoryBacking>",
        "<cputune><shares>2048</shares><emulatorpin cpuset='1'/></cputune>",
        "<!-- a comment of somebody's -->",
    ),
    "features": (
        "<pae/>",
        "<hyperv mode='custom'><relaxed state='on'/><spinlocks state='on' retries='8191'/></hyperv>",
        "<kvm><hidden state='on'/></kvm>",
        "<vmport state='off'/>",
        "<vmcoreinfo state='on'/>",
    ),
    "devices": (
        "<emulator>/opt/qemu/bin/qemu-system-x86_64</emulator>",
        (
            "<disk type='network' device='disk'><driver name='qemu' type='raw' iothread='1'/>"
            "<auth username='libvirt'><secret type='ceph' uuid='2a5b08e4-3dca-4ff9-9a1d-40389758d081'/></auth>"
            "<source protocol='rbd' name='pool/image'><host name='mon1' port='6789'/></source>"
            "<target dev='vdb' bus='virtio'/><iotune><total_bytes_sec>1000</total_bytes_sec></iotune></disk>"
        ),
        (
            "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='sda' bus='sata'/><readonly/>"
            "<address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>"
        ),
        (
            "<interface type='direct'><mac address='52:54:00:aa:bb:cc'/><source dev='eth0' mode='vepa'/>"
            "<bandwidth><inbound average='1000'/></bandwidth><model type='virtio'/></interface>"
        ),
        (
            "<interface type='network'><mac address='52:54:00:aa:bb:dd'/><source network='default'/>"
            "<vlan><tag id='42'/></vlan><filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.9'/>"
            "</filterref><mtu size='9000'/></interface>"
        ),
        "<sound model='ich9'><codec type='micro'/></sound>",
        "<redirdev bus='usb' type='spicevmc'/>",
        "<hub type='usb'/>",
        "<smartcard mode='host'/>",
        "<panic model='isa'/>",
        "<vsock model='virtio'><cid auto='no' address='3'/></vsock>",
        "<shmem name='shared'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
        "<parallel type='pty'><target port='0'/></parallel>",
        "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>",
        "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
        "<graphics type='spice' autoport='yes'><listen type='none'/><image compression='off'/></graphics>",
        "<graphics type='vnc' port='-1' passwd='secret'><listen type='none'/></graphics>",
        "<video><model type='qxl' ram='65536' vram='65536' vgamem='16384' heads='1' primary='yes'/></video>",
        "<hostdev mode='subsystem' type='usb' managed='yes'><source><address bus='1' device='3'/></source></hostdev>",
        (
            "<hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source>"
            "<address domain='0x0000' bus='0x06' slot='0x02' function='0x0'/></source><rom bar='off'/></hostdev>"
        ),
        "<filesystem type='mount' accessmode='mapped'><source dir='/export'/><target dir='nine'/></filesystem>",
        "<memballoon model='virtio'><stats period='10'/></memballoon>",
        "<rng model='virtio'><rate bytes='1234' period='2000'/><backend model='random'>/dev/random</backend></rng>",
        "<controller type='usb' index='0' model='qemu-xhci' ports='15'/>",
        "<controller type='pci' index='0' model='pcie-root'/>",
        "<!-- devices by hand -->",
    ),
}
SYSTEMS = (
    (
        "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/><boot dev='network'/>"
        "<smbios mode='sysinfo'/></os>"
    ),
    "<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os>",
    (
        "<os><type arch='x86_64' machine='pc'>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/CODE.fd"
        "</loader><nvram>/var/lib/libvirt/qemu/nvram/x_VARS.fd</nvram><bios useserial='yes'/></os>"
    ),
)
PROCESSORS = (
    "",
    "<cpu mode='host-passthrough' check='none' migratable='on'><cache mode='passthrough'/></cpu>",
    (
        "<cpu mode='custom' match='exact' check='partial'><model fallback='allow'>Nehalem</model><vendor>Intel</vendor>"
        "<feature policy='require' name='aes'/><feature policy='optional' name='pdpe1gb'/></cpu>"
    ),
    (
        "<cpu mode='host-model'><topology sockets='1' dies='1' cores='2' threads='2'/>"
        "<maxphysaddr mode='emulate' bits='42'/></cpu>"
    ),
)
CLOCKS = (
    "<clock offset='utc'><timer name='rtc' tickpolicy='catchup' track='guest'/><timer name='hypervclock'/></clock>",
    "<clock offset='variable' adjustment='3600' basis='utc'/>",
)
COMMAND_LINE = "<qemu:commandline><qemu:arg value='-newarg'/><qemu:env name='ID' value='wibble'/></qemu:commandline>"


def odd_document(number: int) -> str:
    """A document that is always the same for the same number."""
    chance = random.Random(number)

    def some(parent: str) -> str:
        pieces = PIECES[parent]
        return "\n    ".join(piece for piece in pieces if chance.random() < 0.4)

    unit = chance.choice(("KiB", "b"))
    memory = 1 << (21 if unit == "KiB" else 31)
    command_line = COMMAND_LINE if chance.random() < 0.5 else ""
    return f"""<?xml version='1.0'?>
<!-- written by hand -->
<domain xmlns:qemu='{QEMU}' type='{chance.choice(("kvm", "qemu"))}'>
  <name>odd &amp; &lt;{number}&gt; "ü" 😀</name>
  <uuid>11111111-2222-4333-8444-{number:012d}</uuid>
  <memory unit='{unit}' dumpCore='off'>{memory}</memory>
  <vcpu placement='static' cpuset='0-3'>4</vcpu>
  {chance.choice(SYSTEMS)}
  <features><acpi/>{some("features")}</features>
  {chance.choice(PROCESSORS)}
  {chance.choice(CLOCKS)}
  {some("domain")}
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/x/a&amp;b.qcow2'/>
      <target dev='vda' bus='virtio'/><serial>S1</serial><alias name='ua-mine'/></disk>
    {some("devices")}
  </devices>
  {command_line}
</domain>"""
