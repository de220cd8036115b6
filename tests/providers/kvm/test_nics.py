"""Network cards of running and stopped machines: what libvirt, the host and a guest say about what was done to them."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from providers.base import (
    AlreadyExists,
    CloudInit,
    Conflict,
    ConsoleKind,
    DiskSpec,
    GuestUser,
    ImageSpec,
    InvalidRequest,
    NetworkMode,
    NetworkRecord,
    NicChange,
    NicRecord,
    NicSpec,
    NotFound,
    ProviderError,
    StaticLease,
    StreamConsole,
    VmRecord,
    VmSpec,
)
from providers.guest.passwords import hash_password
from providers.kbase import Kbase
from providers.kvm.testing import Backend
from tests.providers.kvm.conftest import MakeNetwork, MakeVm
from tests.providers.kvm.test_guest import GUEST, PASSWORD, Terminal, until

pytestmark = pytest.mark.live

#: No other test process has these, and a MAC belongs to one card of a hypervisor.
_SERIES = f"52:54:00:{random.randrange(256):02x}:{random.randrange(256):02x}"
MAC, OTHER_MAC = f"{_SERIES}:01", f"{_SERIES}:02"


def virsh(*words: str) -> str:
    """What libvirt itself says."""
    done = subprocess.run(["virsh", "-c", "qemu:///system", *words], capture_output=True, text=True, check=True)
    return done.stdout


def document(vm: VmRecord, *flags: str) -> etree._Element:
    return etree.fromstring(virsh("dumpxml", vm.external_id, *flags))


def interface(vm: VmRecord, mac: str, *flags: str) -> etree._Element:
    found = document(vm, *flags).xpath(f"devices/interface[mac/@address='{mac}']")
    assert isinstance(found, list)
    assert len(found) == 1, f"{mac} is there {len(found)} times"
    assert isinstance(found[0], etree._Element)
    return found[0]


def nic(vm: VmRecord, mac: str) -> NicRecord:
    return next(each for each in vm.nics or () if each.mac == mac)


# -- stopped -----------------------------------------------------------------------------------------------------------


def test_a_card_of_a_stopped_machine_is_added_changed_and_removed(backend: Backend, make_vm: MakeVm) -> None:
    vm, nics = make_vm(), backend.driver.nics
    added = nics.add(vm.external_id, NicSpec(network=backend.network, mac=MAC, filter="clean-traffic", isolated=True))
    assert (nic(added, MAC).filter, nic(added, MAC).isolated, nic(added, MAC).model) == (
        "clean-traffic",
        True,
        "virtio",
    )
    stored = interface(vm, MAC)
    assert stored.xpath("string(filterref/@filter)") == "clean-traffic"
    assert stored.xpath("string(port/@isolated)") == "yes"
    change = NicChange(network=backend.other_network, model="rtl8139", filter="", isolated=False, is_linked=False)
    changed = nic(nics.update(vm.external_id, MAC, change), MAC)
    assert (changed.network, changed.model, changed.filter) == (backend.other_network, "rtl8139", "")
    assert (changed.isolated, changed.is_linked) == (False, False)
    stored = interface(vm, MAC)
    assert stored.xpath("string(source/@network)") == backend.other_network
    assert stored.xpath("string(link/@state)") == "down"
    assert not stored.xpath("filterref|port")
    nics.remove(vm.external_id, MAC)
    assert not document(vm).xpath(f"devices/interface[mac/@address='{MAC}']")


def test_what_nobody_named_stays(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(nics=(NicSpec(network=backend.network, mac=MAC),))
    element = interface(vm, MAC)
    for text in ("<bandwidth><inbound average='128'/></bandwidth>", "<boot order='7'/>", "<coalesce/>"):
        element.append(etree.fromstring(text))
    backend.raw.lookupByUUIDString(vm.external_id).updateDeviceFlags(etree.tostring(element, encoding="unicode"), 2)
    before = interface(vm, MAC)
    backend.driver.nics.update(vm.external_id, MAC, NicChange(network=backend.other_network, filter="clean-traffic"))
    after = interface(vm, MAC)
    for path in ("bandwidth/inbound/@average", "boot/@order", "address/@bus", "address/@slot", "model/@type"):
        assert after.xpath(f"string({path})") == before.xpath(f"string({path})") != "", path


def test_a_card_is_not_added_twice_by_a_job_that_runs_twice(backend: Backend, make_vm: MakeVm) -> None:
    vm, spec = make_vm(), NicSpec(network=backend.network, mac=MAC)
    first = backend.driver.nics.add(vm.external_id, spec)
    assert backend.driver.nics.add(vm.external_id, spec).nics == first.nics
    other = make_vm()
    with pytest.raises(AlreadyExists) as caught:
        backend.driver.nics.add(other.external_id, spec)
    assert caught.value.field == "mac"
    assert vm.name in caught.value.reason


@pytest.mark.parametrize(
    ("spec", "error", "field"),
    [
        (NicSpec(network="", mac="zz"), InvalidRequest, "mac"),
        (NicSpec(network="", mac="01:00:5e:00:00:01"), InvalidRequest, "mac"),
        (NicSpec(network="", model="fast"), InvalidRequest, "model"),
        (NicSpec(network="", filter="kvweb-test-none"), NotFound, "filter"),
        (NicSpec(network="", vlan=7), InvalidRequest, "vlan"),
        (NicSpec(network="kvweb-test-nowhere"), NotFound, "network"),
        (NicSpec(network="bridge:kvweb-none"), NotFound, "network"),
    ],
)
def test_what_a_card_or_its_network_cannot_do_is_refused(
    backend: Backend, make_vm: MakeVm, spec: NicSpec, error: type[Exception], field: str
) -> None:
    vm = make_vm()
    wish = spec if spec.network else spec.model_copy(update={"network": backend.network})
    with pytest.raises(error) as caught:
        backend.driver.nics.add(vm.external_id, wish)
    assert caught.value.field == field  # type: ignore[attr-defined]
    assert backend.driver.machines.get(vm.external_id).nics == vm.nics


def test_a_card_in_a_network_that_is_switched_off_can_still_be_changed(
    backend: Backend, make_vm: MakeVm, make_network: MakeNetwork
) -> None:
    network = make_network(cidr="")
    vm = make_vm(nics=(NicSpec(network=network.name, mac=MAC),))
    backend.driver.networks.set_active(network.name, False)
    changed = backend.driver.nics.update(vm.external_id, MAC, NicChange(filter="clean-traffic"))
    assert nic(changed, MAC).filter == "clean-traffic"
    with pytest.raises(Conflict):
        backend.driver.nics.add(vm.external_id, NicSpec(network=network.name))


@pytest.fixture
def host_bridge() -> Iterator[str]:
    """A bridge that somebody made on the host, with a cable in it: without one it is not up."""
    number = random.randrange(10**4)
    # Networks of tests are told by this beginning; with four digits it is as long as Linux lets a name of a link be.
    name, cable = f"kvweb-test-{number:04}", f"kvwt{number:04}"
    steps = (
        f"link add {name} type bridge",
        f"link add {cable}a type veth peer name {cable}b",
        f"link set {cable}a master {name}",
        *(f"link set {each} up" for each in (name, f"{cable}a", f"{cable}b")),
    )
    try:
        for step in steps:
            subprocess.run(["ip", *step.split()], check=True)
        yield name
    finally:
        for each in (f"{cable}a", name):
            subprocess.run(["ip", "link", "del", each], check=False)


def test_cards_sit_on_a_bridge_of_the_host(
    backend: Backend, make_vm: MakeVm, make_network: MakeNetwork, host_bridge: str
) -> None:
    networks, bridge = backend.driver.networks, f"bridge:{host_bridge}"
    until(lambda: bridge in {each.external_id for each in networks.list()})
    network = make_network(mode=NetworkMode.BRIDGE, cidr="", bridge=host_bridge)
    nics = (NicSpec(network=bridge, mac=MAC, isolated=True), NicSpec(network=network.name, mac=OTHER_MAC))
    vm = make_vm(nics=nics, disks=(), start=True)
    assert (nic(vm, MAC).network, nic(vm, OTHER_MAC).network) == (bridge, network.name)
    for mac, isolated in ((MAC, "1"), (OTHER_MAC, "0")):
        tap = str(interface(vm, mac).xpath("string(target/@dev)"))
        port = Path(f"/sys/class/net/{host_bridge}/brif/{tap}")
        assert port.exists()
        assert (port / "isolated").read_text().strip() == isolated
    assert networks.get(bridge).used_by == networks.get(network.name).used_by == (vm.external_id,)
    moved = backend.driver.nics.update(vm.external_id, MAC, NicChange(network=backend.network))
    assert (nic(moved, MAC).network, moved.pending) == (backend.network, ())


def test_a_card_on_a_device_of_the_host_is_neither_filtered_nor_kept_apart(
    backend: Backend, make_vm: MakeVm, make_network: MakeNetwork
) -> None:
    device = next(each for each in Path("/sys/class/net").iterdir() if each.name != "lo").name
    network = make_network(mode=NetworkMode.BRIDGE, cidr="", forward_device=device)
    vm = make_vm()
    for field, value in (("filter", "clean-traffic"), ("isolated", True), ("vlan", 7)):
        with pytest.raises(InvalidRequest) as caught:
            backend.driver.nics.add(vm.external_id, NicSpec.model_validate({"network": network.name, field: value}))
        assert caught.value.field == field
    card = (vm.nics or ())[0].external_id
    with pytest.raises(InvalidRequest):
        backend.driver.nics.update(vm.external_id, card, NicChange(network=network.name, isolated=True))


# -- a machine whose guest does not listen ----------------------------------------------------------------------------


@pytest.fixture
def deaf(make_vm: MakeVm, monkeypatch: pytest.MonkeyPatch) -> VmRecord:
    """It runs, and no guest in it answers."""
    monkeypatch.setattr("providers.kvm.nics.LET_GO_S", 0.5)
    return make_vm(start=True)


def test_a_guest_that_does_not_let_go_keeps_its_card(backend: Backend, deaf: VmRecord) -> None:
    nics, card = backend.driver.nics, (deaf.nics or ())[0]
    with pytest.raises(Conflict) as caught:
        nics.remove(deaf.external_id, card.external_id)
    assert "does not let go" in caught.value.reason
    # A second request meets libvirt's own “in the process of unplug”, and says the same.
    with pytest.raises(Conflict) as again:
        nics.update(deaf.external_id, card.external_id, NicChange(model="e1000e"))
    assert again.value.reason == caught.value.reason
    for flags in ((), ("--inactive",)):
        assert interface(deaf, card.mac, *flags).xpath("string(model/@type)") == "virtio"


def test_a_running_machine_takes_cards_until_its_slots_are_full(
    backend: Backend, deaf: VmRecord, make_network: MakeNetwork
) -> None:
    nics, network = backend.driver.nics, make_network()
    base = network.gateway.rpartition(".")[0]
    with pytest.raises(Conflict) as old:
        nics.add(deaf.external_id, NicSpec(network=network.name, model="rtl8139", address=f"{base}.100/24"))
    assert "no free slot" in old.value.reason
    taken = 0
    with pytest.raises(Conflict) as full:  # noqa: PT012
        for taken in range(20):
            nics.add(deaf.external_id, NicSpec(network=network.name, address=f"{base}.{taken + 50}/24"))
    assert taken >= 4
    assert "no free slot" in full.value.reason
    # What was refused left nothing: no card in either document, and no address.
    for flags in ((), ("--inactive",)):
        found = document(deaf, *flags).xpath(f"count(devices/interface[source/@network='{network.name}'])")
        assert found == taken
    assert len(hosts(network)) == taken


def test_what_a_running_card_cannot_become_waits_for_the_next_start(backend: Backend, deaf: VmRecord) -> None:
    nics, card = backend.driver.nics, (deaf.nics or ())[0]
    changed = nics.update(deaf.external_id, card.external_id, NicChange(model="rtl8139"))
    assert nic(changed, card.mac).model == "virtio"
    assert changed.pending == (f"Card {card.mac}: model virtio → rtl8139",)
    backend.driver.power.stop(deaf.external_id, force=True)
    started = backend.driver.power.start(deaf.external_id)
    assert nic(started, card.mac).model == "rtl8139"
    assert started.pending == ()


# -- fixed addresses ---------------------------------------------------------------------------------------------------


def hosts(network: NetworkRecord) -> dict[str, str]:
    """MAC → address that libvirt keeps, by its own document."""
    found = etree.fromstring(virsh("net-dumpxml", network.name)).iterfind("ip/dhcp/host")
    return {host.get("mac") or "": host.get("ip") or "" for host in found}


def test_a_fixed_address_is_kept_until_its_card_or_machine_goes(
    backend: Backend, make_vm: MakeVm, make_network: MakeNetwork
) -> None:
    network = make_network()
    base = network.gateway.rpartition(".")[0]
    vm = make_vm(nics=(NicSpec(network=network.name, mac=MAC, address=f"{base}.50/24"),))
    assert hosts(network) == {MAC: f"{base}.50"}
    with pytest.raises(AlreadyExists) as caught:
        make_vm(nics=(NicSpec(network=network.name, address=f"{base}.50/24"),))
    assert caught.value.field == "nics.0.address"
    with pytest.raises(InvalidRequest) as refused:
        make_vm(nics=(NicSpec(network=network.name, address=f"{network.gateway}/24"),))
    assert refused.value.field == "nics.0.address"
    backend.driver.nics.add(vm.external_id, NicSpec(network=network.name, mac=OTHER_MAC, address=f"{base}.51/24"))
    assert hosts(network) == {MAC: f"{base}.50", OTHER_MAC: f"{base}.51"}
    backend.driver.nics.update(vm.external_id, OTHER_MAC, NicChange(network=backend.network))
    assert hosts(network) == {MAC: f"{base}.50"}
    backend.driver.nics.add(vm.external_id, NicSpec(network=network.name, mac="", address=f"{base}.52/24"))
    third = next(mac for mac in hosts(network) if mac != MAC)
    backend.driver.nics.remove(vm.external_id, third)
    assert hosts(network) == {MAC: f"{base}.50"}
    backend.driver.machines.delete(vm.external_id)
    assert hosts(network) == {}


def test_a_create_that_fails_or_dies_keeps_no_address(
    backend: Backend, make_vm: MakeVm, wish: Callable[..., VmSpec], make_network: MakeNetwork
) -> None:
    network = make_network()
    base = network.gateway.rpartition(".")[0]
    spec = wish(nics=(NicSpec(network=network.name, address=f"{base}.50/24"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("providers.kvm.creation.domain_document", lambda _: "<domain type='none'/>")
        with pytest.raises(ProviderError):
            backend.driver.machines.create(spec)
    assert hosts(network) == {}
    with pytest.MonkeyPatch.context() as patch:
        # The process dies: nothing is undone.
        patch.setattr("providers.kvm.creation.domain_document", lambda _: 1 / 0)
        patch.setattr("providers.kvm.creation.attempt", lambda step: None)
        with pytest.raises(Exception):  # noqa: B017
            backend.driver.machines.create(spec)
    assert len(hosts(network)) == 1
    backend.driver.machines.discard(spec.portal_uuid)
    assert hosts(network) == {}


# -- a running guest ---------------------------------------------------------------------------------------------------


@pytest.fixture
def lans(make_network: MakeNetwork) -> tuple[NetworkRecord, NetworkRecord]:
    return make_network(), make_network()


@pytest.fixture
def guest(backend: Backend, lans: tuple[NetworkRecord, NetworkRecord]) -> Iterator[VmRecord]:
    if not GUEST.exists():
        pytest.skip(f"the guest image {GUEST} is not built")
    image = backend.driver.images.add(ImageSpec(name=f"{backend.name}-cards", path=str(GUEST), pool=backend.name))
    vm = backend.driver.machines.create(
        VmSpec(
            name=f"{backend.name}-cards",
            memory_mib=256,
            disks=(DiskSpec(image=image.external_id, size_gib=1),),
            nics=(NicSpec(network=lans[0].name, mac=MAC, filter="clean-traffic", isolated=True),),
            cloud_init=CloudInit(users=(GuestUser(name="ada", password_hash=hash_password(PASSWORD, rounds=5000)),)),
        )
    )
    yield vm
    backend.driver.machines.delete(vm.external_id)
    backend.driver.images.delete(image.external_id)


class Shell:
    """Somebody who is logged in at the serial line."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        terminal.wait_for(" login:")
        terminal.type("ada")
        terminal.wait_for("Password:")
        terminal.type(PASSWORD)
        terminal.wait_for("$")

    def says(self, line: str) -> str:
        # The mark is put together by the shell, so its echo is not taken for the end.
        self.terminal.type(f"echo BEG'I'N; {line}; echo E'N'D")
        self.terminal.wait_for("BEGIN\r\n")
        return self.terminal.wait_for("END\r\n")


@pytest.mark.slow
def test_a_running_guest_sees_what_is_done_to_its_cards(
    backend: Backend, guest: VmRecord, lans: tuple[NetworkRecord, NetworkRecord]
) -> None:
    nics, (first, second) = backend.driver.nics, lans
    base, other_base = (lan.gateway.rpartition(".")[0] for lan in lans)
    target = backend.driver.consoles.open(guest.external_id, ConsoleKind.SERIAL)
    assert isinstance(target, StreamConsole)

    # Filter and isolation are at work on the host, by the host's own word.
    tap = str(interface(guest, MAC).xpath("string(target/@dev)"))
    assert tap in virsh("nwfilter-binding-list")
    assert Path(f"/sys/class/net/{tap}/brport/isolated").read_text().strip() == "1"

    with target.connect() as line:
        shell = Shell(Terminal(line))

        def tells(command: str, text: str) -> Callable[[], bool]:
            return lambda: text in shell.says(command)

        # With its own address it is heard, with another's it is not: nothing that it forges leaves the host's tap.
        until(tells("ip -4 addr show dev eth0", f"inet {base}."), 120)
        forged = f"{base}.222"
        shell.says(f"doas ip addr add {forged}/24 dev eth0")
        assert " 0% packet loss" in shell.says(f"doas ping -c 2 -W 5 {first.gateway}")
        assert "100% packet loss" in shell.says(f"doas ping -c 2 -W 1 -I {forged} {first.gateway}")

        # A card that is plugged in comes up in the guest, with the address that was kept for it.
        backend.driver.networks.reserve(first.name, StaticLease(mac=OTHER_MAC, address=f"{base}.77", name="second"))
        added = nics.add(guest.external_id, NicSpec(network=first.name, mac=OTHER_MAC))
        assert nic(added, OTHER_MAC).network == first.name
        assert added.pending == ()
        until(tells("ip -4 addr show dev eth1", f"inet {base}.77/24"), 120)
        assert OTHER_MAC in shell.says("ip link show dev eth1")
        # The helper of the DHCP server writes it down after the guest has it.
        until(lambda: f"{base}.77/24" in virsh("domifaddr", guest.name), 20)
        lease = next(row for row in backend.driver.networks.leases(first.name) if row.mac == OTHER_MAC)
        assert (lease.address, lease.is_static, lease.expires_at is not None) == (f"{base}.77", True, True)
        assert set(backend.driver.networks.get(first.name).used_by) == {guest.external_id}

        # Its cable is out for a moment when it moves; who then asks for an address gets one of the new network.
        changes = "cat /sys/class/net/eth1/carrier_changes"
        before = shell.says(changes)
        moved = nics.update(guest.external_id, OTHER_MAC, NicChange(network=second.name))
        assert (nic(moved, OTHER_MAC).network, moved.pending) == (second.name, ())
        for flags in ((), ("--inactive",)):
            assert interface(guest, OTHER_MAC, *flags).xpath("string(source/@network)") == second.name
        until(lambda: shell.says(changes) != before)
        shell.says("doas kill -USR2 $(cat /run/nic.eth1/pid); sleep 1; doas kill -USR1 $(cat /run/nic.eth1/pid)")
        until(tells("ip -4 addr show dev eth1", f"inet {other_base}."), 120)

        # Nothing filters this card: the same forgery is heard here.
        shell.says(f"doas ip addr add {other_base}.222/24 dev eth1")
        assert " 0% packet loss" in shell.says(f"doas ping -c 2 -W 5 -I {other_base}.222 {second.gateway}")
        shell.says(f"doas ip addr del {other_base}.222/24 dev eth1")

        # What it has by now is kept for it when that is wanted.
        assert Kbase(backend.driver).update_reserveip(guest.name) == {"result": "success"}
        assert hosts(second)[OTHER_MAC].startswith(f"{other_base}.")
        assert hosts(first)[MAC].startswith(f"{base}.")

        # A pulled cable is out in the guest, too.
        assert not nic(nics.update(guest.external_id, OTHER_MAC, NicChange(is_linked=False)), OTHER_MAC).is_linked
        until(tells("cat /sys/class/net/eth1/carrier", "0"))
        assert nic(nics.update(guest.external_id, OTHER_MAC, NicChange(is_linked=True)), OTHER_MAC).is_linked
        until(tells("cat /sys/class/net/eth1/carrier", "1"))

        # Another model is another card in the same slot, where the machine takes it; else it waits.
        replaced = nics.update(guest.external_id, OTHER_MAC, NicChange(model="e1000e"))
        assert (nic(replaced, OTHER_MAC).model, replaced.pending) == ("e1000e", ())
        until(tells("ls -l /sys/class/net/eth1/device/driver", "e1000e"), 120)
        waiting = nics.update(guest.external_id, OTHER_MAC, NicChange(model="rtl8139"))
        assert nic(waiting, OTHER_MAC).model == "e1000e"
        assert any("rtl8139" in each for each in waiting.pending), waiting.pending
        assert interface(guest, OTHER_MAC, "--inactive").xpath("string(model/@type)") == "rtl8139"

        # A filter is put on and taken off while it runs.
        nics.update(guest.external_id, OTHER_MAC, NicChange(filter="no-mac-spoofing", isolated=True))
        tap = str(interface(guest, OTHER_MAC).xpath("string(target/@dev)"))
        assert any(tap in row and "no-mac-spoofing" in row for row in virsh("nwfilter-binding-list").splitlines())
        assert Path(f"/sys/class/net/{tap}/brport/isolated").read_text().strip() == "1"
        nics.update(guest.external_id, OTHER_MAC, NicChange(filter=""))
        assert tap not in virsh("nwfilter-binding-list")

        # And it goes, in the guest as well.
        nics.remove(guest.external_id, OTHER_MAC)
        until(lambda: "eth1" not in shell.says("ls /sys/class/net"))
        for flags in ((), ("--inactive",)):
            assert not document(guest, *flags).xpath(f"devices/interface[mac/@address='{OTHER_MAC}']")
