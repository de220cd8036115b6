"""Documents of networks: for every mode as it was looked at, valid for libvirt, read back, edited without a loss."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from lxml import etree

from providers.base import AlreadyExists, Conflict, DnsHost, InvalidRequest, NetworkMode, NetworkSpec, StaticLease
from providers.kvm.native import LibvirtError
from providers.kvm.network_design import HostNetworking, wish_of
from providers.kvm.network_records import network_record
from providers.kvm.networks import refused_start
from providers.kvm.xml.build import read, write
from providers.kvm.xml.network_diff import Section, canonical, updates
from providers.kvm.xml.network_edit import edit, new
from providers.kvm.xml.networks import SeenInterface, read_interface, read_network, seen_network
from tests.providers.kvm.odd_networks import OUTER, OWN
from tests.providers.kvm.test_documents import GOLDEN, demand_valid

AWKWARD = "a&b<c>\"'"
MAC = "52:54:00:00:00:01"

#: A host with a Linux bridge, a bridge of Open vSwitch (which libvirt takes for a plain device) and a VLAN.
HOST = HostNetworking(
    interfaces=(
        SeenInterface(name="eth0", type="ethernet"),
        SeenInterface(name="br0", type="bridge"),
        SeenInterface(name="ovs0", type="ethernet"),
        SeenInterface(name="eth0.7", type="vlan", vlan=7, parent="eth0"),
    ),
    libvirt=9_000_000,
)


def spec(**values: Any) -> NetworkSpec:
    return NetworkSpec.model_validate({"name": AWKWARD, "plan": AWKWARD, **values})


#: name of the golden document → wish.
WISHES: dict[str, NetworkSpec] = {
    "nat": spec(cidr="10.1.2.0/24", ipv6_cidr="fd00:db8::/64", domain="lab.test", forward_device="eth0", mtu=1400),
    "route": spec(mode="route", cidr="10.1.2.0/24", dhcp=False, dns_hosts=(DnsHost(address="10.1.2.9", names=("w",)),)),
    "open": spec(mode="open", cidr="2001:db8:1::/64"),
    "isolated": spec(mode="isolated"),
    "isolated-dhcp": spec(
        mode="isolated",
        cidr="10.1.2.0/24",
        dhcp_start="10.1.2.50",
        dhcp_end="10.1.2.99",
        leases=(
            StaticLease(mac=MAC, address="10.1.2.7", name="web"),
            StaticLease(mac=MAC[:-1] + "2", address="10.1.2.8"),
        ),
        dns_hosts=(DnsHost(address="10.1.2.9", names=("www", "ftp.lab.test")),),
    ),
    "bridge": spec(mode="bridge", bridge="br0"),
    "device": spec(mode="bridge", forward_device="eth0"),
    "vlan-device": spec(mode="bridge", forward_device="eth0", vlan=7),
    "vlan-ovs": spec(mode="bridge", bridge="ovs0", vlan=7),
}


@pytest.mark.parametrize("name", WISHES)
def test_a_network_is_written_as_it_was_looked_at_and_fits_the_schema(name: str) -> None:
    root = new(wish_of(WISHES[name], HOST))
    demand_valid(write(root), "network.rng")
    etree.indent(root)
    text = write(root) + "\n"
    path = GOLDEN / f"network-{name}.xml"
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} is new: look at it and commit it")
    assert text == path.read_text()


@pytest.mark.parametrize("name", WISHES)
def test_a_network_is_read_back_as_it_was_wished(name: str) -> None:
    wish = WISHES[name]
    seen = read_network(write(new(wish_of(wish, HOST))))
    record = network_record(seen, seen)
    assert (record.name, record.plan, record.mode, record.domain) == (AWKWARD, AWKWARD, wish.mode, wish.domain)
    assert record.cidrs == tuple(filter(None, (wish.cidr, wish.ipv6_cidr)))
    assert (record.bridge, record.forward_device, record.vlan) == (wish.bridge, wish.forward_device, wish.vlan)
    assert record.mtu == wish.mtu
    assert record.leases == (wish.leases or ())
    assert record.dns_hosts == (wish.dns_hosts or ())
    assert record.dhcp is (bool(wish.cidr) and wish.dhcp)
    if wish.dhcp_start:
        assert (record.dhcp_start, record.dhcp_end) == (wish.dhcp_start, wish.dhcp_end)
    assert record.pending == ()


@pytest.mark.parametrize("name", WISHES)
def test_what_is_wished_like_it_is_changes_nothing(name: str) -> None:
    document = write(new(wish_of(WISHES[name], HOST)))
    seen = read_network(document)
    again = read(document)
    edit(again, wish_of(NetworkSpec.like(network_record(seen, seen)), HOST, seen))
    assert write(again) == document


#: What an administrator put there, and the portal has no words for.
RICH = """
<network ipv6='yes' trustGuestRxFilters='yes' xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>rich</name><uuid>11111111-2222-4333-8444-555555555555</uuid>
  <metadata><x:thing xmlns:x='http://else/where'>theirs</x:thing></metadata>
  <forward mode='nat'><nat><address start='192.0.2.10' end='192.0.2.12'/><port start='500' end='1000'/></nat></forward>
  <bridge name='virbr9' stp='off' delay='3' macTableManager='libvirt' zone='libvirt'/>
  <mac address='52:54:00:5a:5a:5a'/>
  <domain name='lab.test' localOnly='no'/>
  <dns forwardPlainNames='no'><forwarder addr='192.0.2.53'/><txt name='t' value='v'/>
    <host ip='10.1.2.9'><hostname>www</hostname></host></dns>
  <bandwidth><inbound average='1000'/></bandwidth>
  <ip address='10.1.2.254' netmask='255.255.255.0' localPtr='yes'><tftp root='/tftp'/>
    <dhcp><range start='10.1.2.10' end='10.1.2.20'><lease expiry='5' unit='minutes'/></range>
      <range start='10.1.2.30' end='10.1.2.40'/>
      <host mac='52:54:00:00:00:01' name='web' ip='10.1.2.7'><lease expiry='0'/></host>
      <host name='by-name' ip='10.1.2.8'/><bootp file='pxe'/></dhcp></ip>
  <ip address='10.9.9.1' prefix='24'/>
  <ip family='ipv6' address='fd00::1' prefix='64'/>
  <route address='10.3.0.0' prefix='16' gateway='10.1.2.2'/>
  <portgroup name='slow' default='yes'><bandwidth><inbound average='10'/></bandwidth></portgroup>
  <dnsmasq:options><dnsmasq:option value='log-queries'/></dnsmasq:options>
</network>
"""

#: What is wished → paths that may differ afterwards.
EDITS: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    ({}, ()),
    ({"domain": "other.test"}, ("domain/@name",)),
    ({"plan": "shop"}, ("metadata/*[local-name()='network']",)),
    ({"mtu": 9000}, ("mtu",)),
    ({"dhcp_start": "10.1.2.11"}, ("ip[1]/dhcp/range",)),
    ({"dhcp": False}, ("ip[1]/dhcp",)),
    ({"leases": ()}, ("ip[1]/dhcp/host[@mac]",)),
    ({"leases": (StaticLease(mac=MAC, address="10.1.2.7", name="web"),)}, ()),
    ({"dns_hosts": ()}, ("dns/host",)),
    ({"ipv6_cidr": ""}, ("ip[@family='ipv6']",)),
    ({"cidr": "10.4.0.0/16"}, ("ip[1]",)),
    ({"mode": NetworkMode.ROUTE}, ("forward",)),
    ({"mode": NetworkMode.ISOLATED}, ("forward",)),
)


def without(text: str, paths: tuple[str, ...]) -> bytes:
    root = read(text)
    for path in paths:
        found = root.xpath(path)
        assert isinstance(found, list)
        for each in found:
            parent: Any = each.getparent()  # type: ignore[union-attr]
            if isinstance(each, etree._Element):
                parent.remove(each)
            else:
                parent.attrib.pop(each.attrname)  # type: ignore[union-attr]
    return canonical(root)


@pytest.mark.parametrize(("changes", "paths"), EDITS, ids=[" ".join(changes) or "nothing" for changes, _ in EDITS])
def test_an_edit_keeps_everything_that_it_does_not_name(changes: dict[str, Any], paths: tuple[str, ...]) -> None:
    demand_valid(RICH, "network.rng")
    seen = read_network(RICH)
    wish = wish_of(NetworkSpec.like(network_record(seen, seen), **changes), HOST, seen)
    root = read(RICH)
    edit(root, wish)
    demand_valid(write(root), "network.rng")
    assert without(write(root), paths) == without(RICH, paths)
    after = network_record(seen_network(root), seen_network(root))
    for name, value in changes.items():
        if name not in {"cidr", "ipv6_cidr"}:
            assert getattr(after, name) == value
    assert "10.9.9.0/24" in after.cidrs
    assert ("fd00::/64" in after.cidrs) is (changes.get("ipv6_cidr") != "")


OURS = "metadata/*[namespace-uri()='urn:kvweb:network:1']"
#: What is wished of every network → what may differ afterwards.
SMALL_EDITS: tuple[tuple[dict[str, Any], tuple[str, ...]], ...] = (
    ({}, ()),
    ({"plan": "shop"}, (OURS, "metadata[not(*)]")),
    ({"dns_hosts": ()}, ("dns/host",)),
    ({"dhcp": False}, ("ip[1]/dhcp",)),
    ({"domain": "new.test"}, ("domain",)),
    ({"mtu": 1400}, ("mtu",)),
)


@pytest.mark.parametrize(("changes", "paths"), SMALL_EDITS, ids=[" ".join(each) or "none" for each, _ in SMALL_EDITS])
def test_of_hundreds_of_networks_nothing_else_changes(changes: dict[str, Any], paths: tuple[str, ...]) -> None:
    assert len(OWN) > 300
    for document in (*OWN, *(OUTER if changes.keys() <= {"plan"} else ())):
        seen = read_network(document)
        root = read(document)
        edit(root, wish_of(NetworkSpec.like(network_record(seen, seen), **changes), HOST, seen))
        demand_valid(write(root), "network.rng")
        assert without(write(root), paths) == without(document, paths), document


def test_a_network_that_becomes_a_bridge_gives_no_addresses_any_more() -> None:
    seen = read_network(RICH)
    root = read(RICH)
    edit(root, wish_of(NetworkSpec(name="rich", mode=NetworkMode.BRIDGE, bridge="br0", plan=""), HOST, seen))
    after = seen_network(root)
    assert (after.forward, after.bridge, after.ranges, after.domain, after.dns_hosts) == ("bridge", "br0", (), "", ())
    assert (after.uuid, root.find("portgroup") is not None) == (seen.uuid, True)


# -- what can be told to a running network -----------------------------------------------------------------------------


def steps(changes: dict[str, Any]) -> list[tuple[Section, bool, int]] | None:
    seen, before = read_network(RICH), read(RICH)
    after = deepcopy(before)
    edit(after, wish_of(NetworkSpec.like(network_record(seen, seen), **changes), HOST, seen))
    found = updates(before, after)
    return None if found is None else [(step.section, step.is_add, step.ip_index) for step in found]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, []),
        ({"plan": "shop"}, []),
        (
            {"dhcp_start": "10.1.2.11"},
            [(Section.RANGE, False, 0), (Section.RANGE, False, 0), (Section.RANGE, True, 0)],
        ),
        (
            {"leases": (StaticLease(mac=MAC, address="10.1.2.77", name="web"),)},
            [(Section.HOST, False, 0), (Section.HOST, True, 0)],
        ),
        (
            {"dns_hosts": (DnsHost(address="10.1.2.9", names=("www", "ftp")),)},
            [(Section.DNS, False, -1), (Section.DNS, True, -1)],
        ),
        ({"mtu": 9000}, None),
        ({"domain": "other.test"}, None),
        ({"cidr": "10.4.0.0/16"}, None),
        ({"mode": NetworkMode.ROUTE}, None),
        ({"ipv6_cidr": ""}, None),
    ],
)
def test_ranges_addresses_and_names_are_told_and_the_rest_needs_a_restart(
    changes: dict[str, Any], wanted: list[tuple[Section, bool, int]] | None
) -> None:
    assert steps(changes) == wanted


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "error", "field"),
    [
        ({"mode": "provider", "cidr": "10.1.2.0/24"}, InvalidRequest, "mode"),
        ({"mode": "nat"}, InvalidRequest, "cidr"),
        ({"mode": "isolated", "ipv6_cidr": "fd00::/64"}, InvalidRequest, "cidr"),
        ({"cidr": "10.1.2.0/24", "ipv6_cidr": "10.2.0.0/24"}, InvalidRequest, "ipv6_cidr"),
        ({"cidr": "fd01::/64", "ipv6_cidr": "fd00::/64"}, InvalidRequest, "ipv6_cidr"),
        ({"cidr": "10.1.2.0/24", "dhcp_start": "10.1.3.5"}, InvalidRequest, "dhcp_start"),
        ({"cidr": "10.1.2.0/24", "dhcp_end": "10.1.2.255"}, InvalidRequest, "dhcp_end"),
        ({"cidr": "10.1.2.0/24", "dhcp_start": "10.1.2.9", "dhcp_end": "10.1.2.8"}, InvalidRequest, "dhcp_end"),
        ({"cidr": "10.0.0.0/8", "dhcp_end": "10.9.0.0"}, InvalidRequest, "dhcp_end"),
        ({"cidr": "10.1.2.0/24", "dhcp": False, "dhcp_start": "10.1.2.5"}, InvalidRequest, "dhcp_start"),
        ({"cidr": "10.1.2.0/24", "dhcp_start": "five"}, InvalidRequest, "dhcp_start"),
        ({"cidr": "10.1.2.0/24", "domain": "no domain"}, InvalidRequest, "domain"),
        ({"cidr": "10.1.2.0/24", "vlan": 7}, InvalidRequest, "vlan"),
        ({"cidr": "10.1.2.0/24", "bridge": "much-too-long-name"}, InvalidRequest, "bridge"),
        ({"cidr": "10.1.2.0/24", "forward_device": "eth9"}, InvalidRequest, "forward_device"),
        ({"mode": "isolated", "forward_device": "eth0"}, InvalidRequest, "forward_device"),
        ({"mode": "bridge"}, InvalidRequest, "bridge"),
        ({"mode": "bridge", "bridge": "br0", "forward_device": "eth0"}, InvalidRequest, "bridge"),
        ({"mode": "bridge", "bridge": "br9"}, InvalidRequest, "bridge"),
        ({"mode": "bridge", "forward_device": "eth9"}, InvalidRequest, "forward_device"),
        ({"mode": "bridge", "bridge": "br0", "cidr": "10.1.2.0/24"}, InvalidRequest, "cidr"),
        ({"mode": "bridge", "bridge": "br0", "mtu": 9000}, InvalidRequest, "mtu"),
        ({"mode": "bridge", "bridge": "br0", "domain": "lab.test"}, InvalidRequest, "domain"),
        ({"mode": "bridge", "bridge": "br0", "vlan": 7}, InvalidRequest, "vlan"),
        ({"mode": "bridge", "forward_device": "eth0", "vlan": 8}, Conflict, "vlan"),
        ({"cidr": "10.1.2.0/24", "leases": [{"mac": "x", "address": "10.1.2.7"}]}, InvalidRequest, "leases"),
        ({"cidr": "10.1.2.0/24", "leases": [{"mac": MAC, "address": "10.1.3.7"}]}, InvalidRequest, "leases"),
        ({"cidr": "10.1.2.0/24", "leases": [{"mac": MAC, "address": "10.1.2.1"}]}, InvalidRequest, "leases"),
        ({"cidr": "fd00::/64", "leases": [{"mac": MAC, "address": "fd00::7"}]}, InvalidRequest, "leases"),
        (
            {"cidr": "10.1.2.0/24", "dhcp": False, "leases": [{"mac": MAC, "address": "10.1.2.7"}]},
            InvalidRequest,
            "leases",
        ),
        (
            {
                "cidr": "10.1.2.0/24",
                "leases": [{"mac": MAC, "address": "10.1.2.7"}, {"mac": MAC[:-1] + "2", "address": "10.1.2.7"}],
            },
            AlreadyExists,
            "leases",
        ),
        ({"mode": "isolated", "dns_hosts": [{"address": "10.1.2.7", "names": ["w"]}]}, InvalidRequest, "dns_hosts"),
        ({"cidr": "10.1.2.0/24", "dns_hosts": [{"address": "x", "names": ["w"]}]}, InvalidRequest, "dns_hosts"),
        (
            {"cidr": "10.1.2.0/24", "dns_hosts": [{"address": "10.1.2.7", "names": ["a b"]}]},
            InvalidRequest,
            "dns_hosts",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(values: dict[str, Any], error: type[Exception], field: str) -> None:
    with pytest.raises(error) as caught:
        wish_of(spec(**values), HOST)
    assert caught.value.field == field  # type: ignore[attr-defined]
    assert caught.value.reason.endswith(".")  # type: ignore[attr-defined]


def test_a_device_that_is_gone_does_not_keep_a_network_from_changing() -> None:
    routed = RICH.replace("<forward mode='nat'>", "<forward mode='nat' dev='gone0'>")
    for document in (routed, OUTER[2].replace("eth0", "gone0")):
        seen = read_network(document)
        wish = wish_of(NetworkSpec.like(network_record(seen, seen), plan="shop"), HOST, seen)
        assert (wish.device, wish.note.plan) == ("gone0", "shop")


def test_an_isolated_network_needs_no_device() -> None:
    seen = read_network(RICH.replace("<forward mode='nat'>", "<forward mode='nat' dev='eth0'>"))
    assert wish_of(NetworkSpec.like(network_record(seen, seen), mode=NetworkMode.ISOLATED), HOST, seen).device == ""


def test_a_newer_libvirt_tags_on_linux_bridges() -> None:
    newer = HostNetworking(interfaces=HOST.interfaces, libvirt=11_000_000)
    wish = wish_of(spec(mode="bridge", bridge="br0", vlan=7), newer)
    assert (wish.vlan, wish.is_ovs) == (7, False)


def test_a_host_that_tells_no_devices_is_believed() -> None:
    silent = HostNetworking(interfaces=None)
    assert wish_of(spec(mode="bridge", bridge="br9"), silent).bridge == "br9"


def test_devices_of_the_host_are_read() -> None:
    vlan = read_interface(
        "<interface type='vlan' name='eth0.7'><vlan tag='7'><interface name='eth0'/></vlan></interface>"
    )
    assert vlan == SeenInterface(name="eth0.7", type="vlan", vlan=7, parent="eth0")


@pytest.mark.parametrize(
    ("text", "error", "word"),
    [
        ("internal error: Network is already in use by interface eth0", AlreadyExists, "in use on the host"),
        (
            "unexpected exit status 2: dnsmasq: failed to create listening socket for 10.1.2.1: Address already in use",
            Conflict,
            "Another DNS or DHCP server",
        ),
        ("Check the host setup: enabling IPv6 forwarding with RA routes without accept_ra set to 2", Conflict, "IPv6"),
    ],
)
def test_a_network_that_does_not_start_says_why(text: str, error: type[Exception], word: str) -> None:
    found = refused_start(LibvirtError(text))
    assert isinstance(found, error)
    assert word in found.reason
    assert text in found.detail


def test_other_reasons_are_libvirts_own() -> None:
    assert refused_start(LibvirtError("something else")) is None


def test_what_changed_and_waits_is_named() -> None:
    now = read_network(RICH)
    later = read_network(RICH.replace("lab.test", "new.test").replace("mode='nat'", "mode='route'"))
    assert network_record(now, later).pending == ("mode", "domain")
