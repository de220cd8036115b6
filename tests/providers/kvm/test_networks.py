"""Networks at a real libvirt: what it, the host and the network's own servers say about what was done."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from providers.base import (
    AlreadyExists,
    Conflict,
    DnsHost,
    DnsSpec,
    InvalidRequest,
    NetworkMode,
    NetworkRecord,
    NetworkSpec,
    NicChange,
    NicSpec,
    NotFound,
    StaticLease,
)
from providers.kvm.network_addresses import address_range
from providers.kvm.networks import KvmNetworks
from providers.kvm.testing import Backend
from providers.kvm.xml.network_edit import network_document
from providers.testing import Unavailable
from tests.providers.kvm import open_vswitch
from tests.providers.kvm.conftest import MakeNetwork, MakeVm
from tests.providers.kvm.open_vswitch import vsctl

pytestmark = pytest.mark.live

_SERIES = f"52:54:00:{random.randrange(256):02x}:{random.randrange(256):02x}"
MAC, OTHER_MAC = f"{_SERIES}:01", f"{_SERIES}:02"


def virsh(*words: str) -> str:
    """What libvirt itself says."""
    done = subprocess.run(["virsh", "-c", "qemu:///system", *words], capture_output=True, text=True, check=True)
    return done.stdout


def document(network: NetworkRecord, *flags: str) -> etree._Element:
    return etree.fromstring(virsh("net-dumpxml", network.name, *flags))


def both(network: NetworkRecord, path: str) -> tuple[str, str]:
    """What stands in the running and in the stored document."""
    live, kept = (document(network, *flags).xpath(f"string({path})") for flags in ((), ("--inactive",)))
    return str(live), str(kept)


def bridge_index(network: NetworkRecord) -> str:
    """A bridge that was taken down and made again has another number."""
    return Path(f"/sys/class/net/{network.bridge}/ifindex").read_text().strip()


def base_of(network: NetworkRecord) -> str:
    return network.gateway.rpartition(".")[0]


def asked(server: str, name: str) -> list[str]:
    """The addresses of IPv4 that a DNS server answers (RFC 1035)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(5)
        line.sendto(question, (server, 53))
        answer = line.recv(512)
    count, place, found = struct.unpack(">H", answer[6:8])[0], len(question), []
    for _ in range(count):
        kind, length = struct.unpack(">H6xH", answer[place + 2 : place + 12])
        if kind == 1:
            found.append(socket.inet_ntoa(answer[place + 12 : place + 12 + length]))
        place += 12 + length
    return found


# -- made and changed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nat", "route", "open", "isolated"])
def test_a_network_of_each_mode_is_what_libvirt_has(make_network: MakeNetwork, mode: str) -> None:
    wish = {"mode": mode, "domain": "lab.test", "mtu": 1400, "plan": "a&b<c>\"'"}
    network = make_network(**wish)
    assert (network.mode, network.domain, network.mtu, network.plan) == tuple(wish.values())
    assert (network.is_active, network.autostart, network.dhcp, network.pending) == (True, False, True, ())
    root = document(network)
    assert (str(root.xpath("string(forward/@mode)")) or "isolated") == mode
    assert root.xpath("string(ip/@address)") == network.gateway
    assert Path(f"/sys/class/net/{network.bridge}/mtu").read_text().strip() == "1400"
    assert asked(network.gateway, "nobody.lab.test") == []


def test_where_another_takes_the_bridge_that_libvirt_chose_it_gets_one_of_its_own(
    make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libvirt chooses a name that is free when a network is defined, and makes the bridge when it starts."""
    taken: list[str] = []
    start = KvmNetworks._start

    def too_late(networks: KvmNetworks, network: Any) -> None:
        if not taken:
            taken.append(network.bridgeName())
            subprocess.run(["ip", "link", "add", taken[0], "type", "bridge"], check=True)
        start(networks, network)

    monkeypatch.setattr(KvmNetworks, "_start", too_late)
    try:
        network = make_network()
        assert network.is_active
        assert bridge_of(network) not in taken
    finally:
        subprocess.run(["ip", "link", "del", *taken], check=True)


def bridge_of(network: NetworkRecord) -> str:
    return str(etree.fromstring(virsh("net-dumpxml", network.name).encode()).xpath("string(bridge/@name)"))


def test_a_name_that_is_hard_to_write_is_kept(backend: Backend, make_network: MakeNetwork) -> None:
    name = f"{backend.name}-a&b<c>\"'"
    network = make_network(name=name, cidr="", mode=NetworkMode.ISOLATED)
    assert network.name == name
    assert name in virsh("net-list", "--all", "--name")
    assert backend.driver.networks.get(name).name == name


def test_two_families_live_beside_each_other(make_network: MakeNetwork) -> None:
    second = f"fd00:213:{random.randrange(65536):x}::/64"
    network = make_network(mode="nat", ipv6_cidr=second)
    assert network.cidrs[1] == second
    root = document(network)
    assert root.xpath("string(ip[@family='ipv6']/@prefix)") == "64"
    assert root.xpath("string(forward/nat/@ipv6)") == "yes"


def test_ranges_addresses_and_names_change_while_it_runs(backend: Backend, make_network: MakeNetwork) -> None:
    networks, network = backend.driver.networks, make_network(domain="lab.test")
    index, base = bridge_index(network), base_of(network)
    wish = NetworkSpec.like(
        network,
        dhcp_start=f"{base}.50",
        dhcp_end=f"{base}.99",
        leases=(StaticLease(mac=MAC, address=f"{base}.7", name="web"),),
        dns_hosts=(DnsHost(address=f"{base}.9", names=("www", "ftp")),),
        plan="shop",
    )
    changed = networks.update(network.external_id, wish)
    assert (changed.dhcp_start, changed.dhcp_end, changed.plan) == (f"{base}.50", f"{base}.99", "shop")
    assert changed.pending == ()
    assert bridge_index(network) == index, "It was restarted."
    assert both(network, "ip/dhcp/range/@start") == (f"{base}.50", f"{base}.50")
    assert both(network, "ip/dhcp/host/@ip") == (f"{base}.7", f"{base}.7")
    assert asked(network.gateway, "www.lab.test") == asked(network.gateway, "ftp.lab.test") == [f"{base}.9"]
    # What is wished like it is by now is no change, and what is not said stays.
    again = networks.update(network.external_id, NetworkSpec.like(changed))
    assert (again.leases, again.dns_hosts) == (changed.leases, changed.dns_hosts)
    less = networks.update(network.external_id, NetworkSpec.like(changed, dhcp=False, dns_hosts=()))
    assert (less.dhcp, less.leases, less.dns_hosts) == (False, (), ())
    assert bridge_index(network) == index
    assert asked(network.gateway, "www.lab.test") == []


def test_what_an_administrator_put_there_survives(backend: Backend, make_network: MakeNetwork) -> None:
    network = make_network()
    root = document(network, "--inactive")
    root.append(etree.fromstring("<portgroup name='slow'><bandwidth><inbound average='10'/></bandwidth></portgroup>"))
    root.insert(2, etree.fromstring("<dns forwardPlainNames='no'><txt name='t' value='v'/></dns>"))
    backend.raw.networkDefineXML(etree.tostring(root, encoding="unicode"))
    changed = backend.driver.networks.update(network.external_id, NetworkSpec.like(network, domain="new.test"))
    assert (changed.domain, changed.pending) == ("new.test", ())
    assert both(network, "portgroup/bandwidth/inbound/@average") == ("10", "10")
    assert both(network, "dns/txt/@value") == ("v", "v")


def test_nothing_is_restarted_under_a_running_machine(
    backend: Backend, make_vm: MakeVm, make_network: MakeNetwork
) -> None:
    networks, network = backend.driver.networks, make_network()
    index, base = bridge_index(network), base_of(network)
    vm = make_vm(nics=(NicSpec(network=network.name),), disks=(), start=True)
    changed = networks.update(network.external_id, NetworkSpec.like(network, domain="new.test", mtu=1400))
    assert (changed.domain, changed.mtu) == ("", None), "It says what is, and not what will be."
    assert set(changed.pending) == {"domain", "mtu"}
    assert changed.used_by == (vm.external_id,)
    assert bridge_index(network) == index
    # What can be told at once still is.
    kept = networks.reserve(network.external_id, StaticLease(mac=MAC, address=f"{base}.7"))
    assert both(network, "ip/dhcp/host/@ip") == (f"{base}.7", f"{base}.7")
    assert set(kept.pending) == {"domain", "mtu"}
    for refused in (
        lambda: networks.set_active(network.external_id, False),
        lambda: networks.delete(network.external_id),
    ):
        with pytest.raises(Conflict) as caught:
            refused()
        assert vm.name in caught.value.reason
    backend.driver.machines.delete(vm.external_id)
    assert not networks.set_active(network.external_id, False).is_active
    restarted = networks.set_active(network.external_id, True)
    assert (restarted.domain, restarted.mtu, restarted.pending) == ("new.test", 1400, ())
    assert networks.set_active(network.external_id, True).is_active
    assert bridge_index(network) != index


def test_a_change_that_died_half_way_is_finished_by_the_same_change(
    backend: Backend, make_network: MakeNetwork
) -> None:
    network = make_network(mode=NetworkMode.ISOLATED, domain="old.example")
    stored = document(network, "--inactive")
    stored.find("domain").set("name", "new.example")  # type: ignore[union-attr]
    backend.raw.networkDefineXML(etree.tostring(stored).decode())
    assert both(network, "domain/@name") == ("old.example", "new.example")
    networks = backend.driver.networks
    half = networks.get(network.external_id)
    assert "domain" in half.pending
    whole = networks.update(network.external_id, NetworkSpec.like(half, domain="new.example"))
    assert (whole.domain, whole.pending) == ("new.example", ())
    assert both(network, "domain/@name") == ("new.example", "new.example")


def test_a_change_that_does_not_start_leaves_it_as_it_was(
    backend: Backend, make_network: MakeNetwork, foreign_route: str
) -> None:
    network = make_network()
    before = document(network, "--inactive")
    with pytest.raises(AlreadyExists) as caught:
        backend.driver.networks.update(network.external_id, NetworkSpec.like(network, cidr=foreign_route))
    assert caught.value.field == "cidr"
    assert etree.tostring(document(network, "--inactive")) == etree.tostring(before)
    assert backend.driver.networks.get(network.external_id).is_active


def test_a_network_that_needs_a_range_gets_a_free_one(backend: Backend, make_network: MakeNetwork) -> None:
    first, second = make_network(mode="nat", cidr=""), make_network(mode="route", cidr="")
    assert first.cidrs != second.cidrs
    for network in (first, second):
        assert document(network).xpath("string(ip/@address)") == network.gateway != ""
    assert make_network(cidr="").cidrs == (), "An isolated network needs none."
    with pytest.raises(AlreadyExists) as caught:
        backend.driver.networks.create(NetworkSpec(name=first.name))
    assert caught.value.field == "name"


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def foreign_route() -> Iterator[str]:
    """A range that the host sends elsewhere, though none of its devices has an address in it."""
    cidr = f"10.214.{random.randrange(256)}.0/24"
    subprocess.run(["ip", "route", "add", cidr, "dev", "lo"], check=True)
    yield cidr
    subprocess.run(["ip", "route", "del", cidr, "dev", "lo"], check=True)


def test_a_range_that_the_host_uses_is_refused(backend: Backend, make_network: MakeNetwork, foreign_route: str) -> None:
    name = f"{backend.name}-refused"
    device = next(each for each in virsh("iface-list").split() if each.startswith(("eth", "en")))
    address = subprocess.run(["ip", "-4", "-o", "addr", "show", device], capture_output=True, text=True, check=True)
    own = address.stdout.split()[3].rpartition(".")[0] + ".0/24"
    network = make_network()
    for cidr, word in ((own, device), (network.cidrs[0], network.name), (foreign_route, "in use on the host")):
        with pytest.raises(AlreadyExists) as caught:
            backend.driver.networks.create(NetworkSpec(name=name, cidr=cidr, autostart=False))
        assert caught.value.field == "cidr"
        assert word in caught.value.reason
    assert name not in virsh("net-list", "--all", "--name")


def test_a_bridge_that_the_host_does_not_have_is_refused(backend: Backend) -> None:
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.networks.create(
            NetworkSpec(name=f"{backend.name}-refused", mode=NetworkMode.BRIDGE, bridge="kvweb-none")
        )
    assert caught.value.field == "bridge"


def test_cards_may_sit_on_a_device_of_the_host(make_network: MakeNetwork) -> None:
    device = next(each for each in virsh("iface-list").split() if each.startswith(("eth", "en")))
    network = make_network(mode=NetworkMode.BRIDGE, cidr="", forward_device=device)
    assert (network.mode, network.forward_device, network.bridge) == (NetworkMode.BRIDGE, device, "")
    assert document(network).xpath("string(forward/interface/@dev)") == device


def test_a_bridge_of_the_host_belongs_to_the_host(backend: Backend, make_network: MakeNetwork) -> None:
    networks, network = backend.driver.networks, make_network()
    bridge = f"bridge:{network.bridge}"
    for refused in (
        lambda: networks.update(bridge, NetworkSpec(name=network.bridge)),
        lambda: networks.delete(bridge),
        lambda: networks.set_active(bridge, False),
        lambda: networks.reserve(bridge, StaticLease(mac=MAC, address="10.0.0.2")),
    ):
        with pytest.raises(Conflict):
            refused()
    assert list(networks.leases(bridge)) == []


# -- VLANs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def switch() -> Iterator[str]:
    """A bridge of Open vSwitch that needs nothing of the kernel."""
    name = f"kvweb-test-{random.randrange(10**4):04}"
    try:
        with open_vswitch.running():
            vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")
            yield name
            vsctl("del-br", name)
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_open_vswitch_tags_what_a_network_or_a_card_says(
    backend: Backend, make_vm: MakeVm, make_network: MakeNetwork, switch: str
) -> None:
    nics, network = backend.driver.nics, make_network(mode=NetworkMode.BRIDGE, cidr="", bridge=switch, vlan=7)
    assert (network.bridge, network.vlan) == (switch, 7)
    vm = make_vm(nics=(NicSpec(network=network.name),), disks=(), start=True)
    vm = nics.add(vm.external_id, NicSpec(network=network.name, vlan=9, mac=MAC))
    assert [nic.vlan for nic in vm.nics or ()] == [7, 9]
    taps = etree.fromstring(virsh("dumpxml", vm.external_id)).xpath("devices/interface/target/@dev")
    assert isinstance(taps, list)
    assert [vsctl("get", "port", str(tap), "tag") for tap in taps] == ["7", "9"]
    waiting = nics.update(vm.external_id, MAC, NicChange(vlan=11))
    assert waiting.pending == (f"Card {MAC}: VLAN 9 → 11",)
    for wrong in ({"filter": "clean-traffic"}, {"isolated": True}):
        with pytest.raises(InvalidRequest):
            nics.add(vm.external_id, NicSpec.model_validate({"network": network.name, **wrong}))
    backend.driver.power.stop(vm.external_id, force=True)
    started = backend.driver.power.start(vm.external_id)
    assert ([nic.vlan for nic in started.nics or ()], started.pending) == ([7, 11], ())


# -- kept addresses ----------------------------------------------------------------------------------------------------


def kept(network: NetworkRecord) -> dict[str, str]:
    return {host.get("mac") or "": host.get("ip") or "" for host in document(network).iterfind("ip/dhcp/host")}


def test_an_address_is_kept_changed_and_given_back(backend: Backend, make_network: MakeNetwork) -> None:
    networks, network = backend.driver.networks, make_network()
    base = base_of(network)
    lease = StaticLease(mac=MAC.upper(), address=f"{base}.7", name="web")
    record = networks.reserve(network.external_id, lease)
    assert record.leases == (StaticLease(mac=MAC, address=f"{base}.7", name="web"),)
    assert kept(network) == {MAC: f"{base}.7"}
    # The server itself was told.
    told = Path(f"/var/lib/libvirt/dnsmasq/{network.name}.hostsfile").read_text()
    assert f"{MAC},{base}.7,web" in told
    rows = networks.leases(network.external_id)
    assert [(row.mac, row.address, row.hostname, row.is_static) for row in rows] == [(MAC, f"{base}.7", "web", True)]
    assert networks.reserve(network.external_id, lease).leases == record.leases, "A job may run twice."
    networks.reserve(network.external_id, StaticLease(mac=MAC, address=f"{base}.8", name="web"))
    assert kept(network) == {MAC: f"{base}.8"}
    for wrong, field in (
        (StaticLease(mac=OTHER_MAC, address=f"{base}.8"), "address"),
        (StaticLease(mac=OTHER_MAC, address=f"{base}.9", name="web"), "name"),
    ):
        with pytest.raises(AlreadyExists) as taken:
            networks.reserve(network.external_id, wrong)
        assert taken.value.field == field
    for bad, field in (
        (StaticLease(mac=MAC, address="192.0.2.200"), "address"),
        (StaticLease(mac=MAC, address=network.gateway), "address"),
        (StaticLease(mac=MAC, address="fd00::7"), "address"),
        (StaticLease(mac="nonsense", address=f"{base}.9"), "mac"),
        (StaticLease(mac=MAC, address=f"{base}.9", name="a b"), "name"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            networks.reserve(network.external_id, bad)
        assert caught.value.field == field
    assert kept(network) == {MAC: f"{base}.8"}
    assert networks.release(network.external_id, MAC).leases == ()
    assert kept(network) == {}
    with pytest.raises(NotFound):
        networks.release(network.external_id, MAC)


def test_a_network_that_gives_out_nothing_keeps_nothing(backend: Backend, make_network: MakeNetwork) -> None:
    network = make_network(dhcp=False)
    with pytest.raises(Conflict):
        backend.driver.networks.reserve(network.external_id, StaticLease(mac=MAC, address=f"{base_of(network)}.7"))


def test_a_network_without_a_definition_is_changed_while_it_lives(backend: Backend) -> None:
    part = address_range(f"10.215.{random.randrange(256)}.0/24", dhcp=True)
    raw: Any = backend.raw.networkCreateXML(network_document(name=f"{backend.name}-passing", ranges=(part,)))
    try:
        address = str(part.host.network[9])
        record = backend.driver.networks.reserve(raw.name(), StaticLease(mac=MAC, address=address))
        assert kept(record) == {MAC: address}
        assert record.autostart is False
    finally:
        raw.destroy()


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_name_is_answered_until_it_is_taken_away(backend: Backend, make_network: MakeNetwork) -> None:
    dns, zone = backend.driver.dns, f"z{random.randrange(10**6)}.test"
    network = make_network(domain=zone)
    base, index = base_of(network), bridge_index(network)
    assert zone in dns.zones()
    dns.reserve(DnsSpec(zone=zone, name="www", data=f"{base}.9"))
    dns.reserve(DnsSpec(zone=zone, name="alias", data=f"{base}.9"))
    assert asked(network.gateway, f"www.{zone}") == asked(network.gateway, f"alias.{zone}") == [f"{base}.9"]
    with pytest.raises(AlreadyExists):
        dns.reserve(DnsSpec(zone=zone, name="www", data=f"{base}.10"))
    dns.reserve(DnsSpec(zone=zone, name="www", data=f"{base}.10"), force=True)
    dns.reserve(DnsSpec(zone=zone, name="www", type="AAAA", data="fd00::10"))
    assert asked(network.gateway, f"www.{zone}") == [f"{base}.10"]
    assert asked(network.gateway, f"alias.{zone}") == [f"{base}.9"]
    rows = [(row.name, row.type, row.data) for row in dns.list(network.name)]
    assert rows == [("alias", "A", f"{base}.9"), ("www", "A", f"{base}.10"), ("www", "AAAA", "fd00::10")]
    dns.delete(zone, "www")
    assert asked(network.gateway, f"www.{zone}") == []
    assert asked(network.gateway, f"alias.{zone}") == [f"{base}.9"]
    assert both(network, "count(dns/host)") == ("1", "1")
    assert bridge_index(network) == index
    for wrong, field in (
        (DnsSpec(zone=zone, name="www", type="CNAME", data="alias"), "type"),
        (DnsSpec(zone=zone, name="www", type="AAAA", data=f"{base}.9"), "data"),
        (DnsSpec(zone=zone, name="www", data="nowhere"), "data"),
        (DnsSpec(zone=zone, name="w w", data=f"{base}.9"), "name"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            dns.reserve(wrong)
        assert caught.value.field == field


def test_the_name_and_address_of_a_deleted_machine_are_given_back(
    backend: Backend, make_network: MakeNetwork, make_vm: MakeVm
) -> None:
    networks, network = backend.driver.networks, make_network()
    base = base_of(network)
    vm = make_vm(nics=(NicSpec(network=network.external_id, mac=MAC),), start=False)
    networks.reserve(network.external_id, StaticLease(mac=MAC, address=f"{base}.7", name=""))
    networks.reserve(network.external_id, StaticLease(mac=OTHER_MAC, address=f"{base}.8", name=""))
    record = networks.get(network.external_id)
    hosts = (
        DnsHost(address=f"{base}.7", names=(vm.name, f"{vm.name}.lan.test", "git")),
        DnsHost(address=f"{base}.8", names=(vm.name,)),
        DnsHost(address=f"{base}.9", names=("www",)),
    )
    networks.update(network.external_id, NetworkSpec.like(record, dns_hosts=hosts))
    backend.driver.machines.delete(vm.external_id)
    left = networks.get(network.external_id)
    # The second is another card's; the name of it was somebody's wish.
    assert {host.address: host.names for host in left.dns_hosts} == {
        f"{base}.7": ("git",),
        f"{base}.8": (vm.name,),
        f"{base}.9": ("www",),
    }
    assert [lease.mac for lease in left.leases] == [OTHER_MAC]
    assert asked(network.gateway, "git") == [f"{base}.7"]


def test_a_domain_that_two_networks_have_is_told_apart_by_their_names(
    backend: Backend, make_network: MakeNetwork
) -> None:
    dns, zone = backend.driver.dns, f"z{random.randrange(10**6)}.test"
    first, _ = make_network(domain=zone), make_network(domain=zone)
    with pytest.raises(Conflict):
        dns.list(zone)
    assert dns.reserve(DnsSpec(zone=first.name, name="www", data=first.gateway)).name == "www"
