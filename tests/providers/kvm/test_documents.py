"""Documents are what libvirt's own schemas demand, say what they said when they were looked at, and are read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from providers.base import InvalidRequest, VmSpec
from providers.kvm.design import Content, design
from providers.kvm.hostfacts import HostFacts
from providers.kvm.network_addresses import address_range
from providers.kvm.xml import note
from providers.kvm.xml.build import read
from providers.kvm.xml.domain_reader import SeenMachine, read_machine
from providers.kvm.xml.domain_writer import domain_document
from providers.kvm.xml.elements import Note
from providers.kvm.xml.network_edit import network_document
from providers.kvm.xml.networks import read_network
from providers.kvm.xml.storage import pool_document, read_pool, read_volume, volume_document
from tests.providers.kvm.facts import (
    ABLE,
    ARM,
    CONTENTS,
    EMULATED,
    FROM_IMAGE,
    FROM_ISO,
    KVM,
    NOW,
    OLD,
    REMOTE,
    SHAPED,
    UUID_1,
    spec,
)

SCHEMAS = Path("/usr/share/libvirt/schemas")
GOLDEN = Path(__file__).with_name("golden")

#: name → wish, host, storage.
DESIGNS: dict[str, tuple[VmSpec, HostFacts, Content]] = {
    "image-kvm": (FROM_IMAGE, KVM, CONTENTS["image"]),
    "image-emulated": (FROM_IMAGE, EMULATED, CONTENTS["image"]),
    "image-remote": (FROM_IMAGE, REMOTE, CONTENTS["image"]),
    "iso-uefi": (FROM_ISO, KVM, CONTENTS["iso"]),
    "empty-old": (spec(), OLD, CONTENTS["empty"]),
    "image-arm": (FROM_IMAGE, ARM, CONTENTS["image"]),
    "shaped": (SHAPED, ABLE, CONTENTS["image"]),
    "headless": (spec(options={"video": "none"}), KVM, CONTENTS["empty"]),
}


def document_of(name: str) -> str:
    wish, facts, content = DESIGNS[name]
    return domain_document(design(wish, facts, content, uuid=UUID_1, now=NOW))


def demand_valid(document: str, schema: str) -> None:
    """libvirt installs the schemas; without them nothing is proved, so that is a failure and no skip."""
    path = SCHEMAS / schema
    assert path.exists(), f"libvirt's schema {path} is missing: install libvirt-daemon or libvirt0"
    checker = etree.RelaxNG(etree.parse(path))
    assert checker.validate(etree.fromstring(document)), str(checker.error_log)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_vm_fits_the_schema(name: str) -> None:
    demand_valid(document_of(name), "domain.rng")


@pytest.mark.parametrize("name", DESIGNS)
def test_a_vm_is_written_as_it_was_looked_at(name: str) -> None:
    tree = etree.fromstring(document_of(name))
    etree.indent(tree)
    text = etree.tostring(tree, encoding="unicode") + "\n"
    path = GOLDEN / f"{name}.xml"
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} is new: look at it and commit it")
    assert text == path.read_text()


@pytest.mark.parametrize("name", DESIGNS)
def test_a_vm_is_read_back_as_it_was_designed(name: str) -> None:
    wish, facts, content = DESIGNS[name]
    machine = design(wish, facts, content, uuid=UUID_1, now=NOW)
    seen = read_machine(domain_document(machine))
    assert (seen.uuid, seen.name, seen.description) == (machine.uuid, machine.name, machine.description)
    assert (seen.vcpus, seen.memory_mib) == (machine.vcpus, machine.memory_mib)
    assert seen.vcpus_max == machine.options.get("max_vcpus", machine.vcpus)
    assert seen.memory_most_mib == machine.options.get("max_memory_mib", machine.memory_mib)
    plain = {name: value for name, value in machine.options.items() if name != "boot_order"}
    assert {name: seen.options.get(name, False) for name in plain} == plain
    assert seen.note == machine.note
    assert [(drive.target, drive.bus, drive.device, drive.read_only) for drive in seen.drives] == [
        (drive.target, drive.bus, drive.device, drive.read_only) for drive in machine.drives
    ]
    assert [drive.boot for drive in seen.drives] == [drive.boot_order == 1 for drive in machine.drives]
    assert [(card.mac, card.network, card.bridge, card.model) for card in seen.cards] == [
        (card.mac, card.network, card.bridge, card.model) for card in machine.cards
    ]
    assert [graphics.type for graphics in seen.graphics] == (["vnc"] if machine.video else [])
    assert [graphics.listen for graphics in seen.graphics] == (
        [] if not machine.video else [""] if machine.listen == "none" else [machine.listen]
    )
    assert seen.has_serial


STRANGE = """
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' from='the future'>
  <name>old one</name><uuid>11111111-2222-4333-8444-555555555555</uuid>
  <metadata><app:x xmlns:app='http://else/where'><app:portal-uuid>not ours</app:portal-uuid></app:x></metadata>
  <memory unit='GiB'>2</memory><vcpu current='2'>4</vcpu><unknown><deep/></unknown>
  <os><type>hvm</type><boot dev='cdrom'/><boot dev='hd'/></os>
  <devices>
    <disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <source protocol='rbd' name='pool/img'><host name='mon'/></source><target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='disk'><source file='/top'/>
      <backingStore type='file'><source file='/middle'/>
        <backingStore type='file'><source file='/base'/><backingStore/></backingStore></backingStore>
      <target dev='vdb'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdc'/></disk>
    <interface type='direct'><source dev='eth0' mode='bridge'/><mac address='52:54:00:AA:00:01'/></interface>
    <interface type='user'><mac address='52:54:00:aa:00:02'/></interface>
    <interface type='hostdev'/>
    <graphics type='spice' port='5900' listen='0.0.0.0'/>
    <graphics type='vnc' port='5901' listen='0.0.0.0' passwd='hidden'>
      <listen type='address' address='0.0.0.0'/></graphics>
    <graphics type='vnc' socket='/run/x.sock'><listen type='socket' socket='/run/x.sock'/></graphics>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
    <future-device mood='good'/>
  </devices>
</domain>
"""


def test_a_strangers_vm_is_read_as_far_as_it_is_known() -> None:
    seen = read_machine(STRANGE)
    assert (seen.vcpus, seen.vcpus_max, seen.memory_mib) == (2, 4, 2048)
    assert seen.note == Note()
    assert [drive.source for drive in seen.drives] == ["pool/img", "/top", "", "p/v"]
    assert seen.drives[1].backing == ("/middle", "/base")
    assert [drive.boot for drive in seen.drives] == [False, False, True, False]
    assert [(card.kind, card.bridge, card.mac) for card in seen.cards] == [
        ("direct", "eth0", "52:54:00:aa:00:01"),
        ("user", "", "52:54:00:aa:00:02"),
        ("hostdev", "", ""),
    ]
    assert [(graphics.type, graphics.port, graphics.listen) for graphics in seen.graphics] == [
        ("spice", 5900, "0.0.0.0"),
        ("vnc", 5901, "0.0.0.0"),
        ("vnc", -1, ""),
    ]
    assert seen.graphics[1].password == "hidden"
    assert seen.graphics[2].socket == "/run/x.sock"
    assert seen.agent_connected
    assert not seen.has_serial


def test_the_least_document_is_enough() -> None:
    assert replace(read_machine("<domain/>"), options={}) == SeenMachine(uuid="", name="")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<domain",
        "not xml",
        '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><domain><name>&e;</name></domain>',
    ],
)
def test_broken_and_hostile_documents_do_no_harm(text: str) -> None:
    try:
        seen = read_machine(text)
    except InvalidRequest:
        return
    assert "root" not in seen.name


xml_text = st.text(
    alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\x7f\ufffe\uffff"),
    max_size=30,
)


@given(xml_text, xml_text, st.dictionaries(xml_text, xml_text, max_size=3))
def test_any_text_survives_the_way_there_and_back(description: str, key: str, values: dict[str, str]) -> None:
    wish = spec(description=description, metadata={**values, "k" + key: "v"}, tags=(key,))
    document = domain_document(design(wish, KVM, Content(), uuid=UUID_1, now=NOW))
    seen = read_machine(document)
    assert seen.description == description
    assert dict(seen.note.values) == wish.metadata
    assert seen.note.tags == (key,)


def test_a_note_is_the_same_in_both_its_shapes() -> None:
    whole = Note(portal_uuid="x", created_at="t", image="i", volumes=("/a", "/b"), values=(("k", "v"),), tags=("t",))
    assert note.from_element(note.to_fragment(whole)) == whole
    root = read("<domain><metadata/></domain>")
    metadata = root.find("metadata")
    assert metadata is not None
    metadata.append(note.to_element(whole))
    assert note.from_document(root) == whole


AWKWARD = "a&b<c>\"' – ü"
VOLUMES = {
    "volume-thin": volume_document(name=AWKWARD, capacity=1 << 30, format_="qcow2"),
    "volume-overlay": volume_document(
        name="o", capacity=1, format_="qcow2", backing=f"/pool/{AWKWARD}", backing_format="raw"
    ),
    "volume-image": volume_document(name="s", capacity=512, format_="raw", allocation=None, mode="0444", owner=107),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_fit_the_schema_and_are_written_as_they_were_looked_at(name: str) -> None:
    demand_valid(VOLUMES[name], "storagevol.rng")
    tree = etree.fromstring(VOLUMES[name])
    etree.indent(tree)
    text = etree.tostring(tree, encoding="unicode") + "\n"
    path = GOLDEN / f"{name}.xml"
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} is new: look at it and commit it")
    assert text == path.read_text()


def test_a_volumes_awkward_name_is_read_back() -> None:
    assert read_volume(VOLUMES["volume-thin"]).name == AWKWARD
    assert read_volume(VOLUMES["volume-overlay"]).backing == f"/pool/{AWKWARD}"


def test_pools_fit_the_schema_and_are_read_back() -> None:
    document = pool_document(name="p&q", type_="dir", path="/var/lib/x y")
    demand_valid(document, "storagepool.rng")
    assert (read_pool(document).name, read_pool(document).path) == ("p&q", "/var/lib/x y")


def test_a_volume_is_read_with_all_that_matters() -> None:
    seen = read_volume(
        "<volume type='file'><name>n</name><key>/p/n</key><capacity unit='bytes'>100</capacity>"
        "<allocation unit='bytes'>50</allocation><target><path>/p/n</path><format type='qcow2'/>"
        "<permissions><mode>0600</mode></permissions><timestamps><mtime>1795360032.585823606</mtime></timestamps>"
        "</target><backingStore><path>/p/base</path><format type='raw'/></backingStore></volume>"
    )
    assert (seen.key, seen.path, seen.format, seen.capacity, seen.allocation) == ("/p/n", "/p/n", "qcow2", 100, 50)
    assert (seen.backing, seen.mode) == ("/p/base", 0o600)
    assert seen.modified_at is not None
    assert seen.modified_at.tzinfo is not None


@pytest.mark.parametrize("forward", ["nat", "route", "open", ""])
@pytest.mark.parametrize("cidr", ["10.1.2.0/24", "2001:db8:1::/64"])
@pytest.mark.parametrize("dhcp", [True, False])
def test_networks_fit_the_schema_and_are_read_back(forward: str, cidr: str, dhcp: bool) -> None:
    document = network_document(
        name="n&m", forward=forward, bridge="vbr7", domain="lab.test", ranges=(address_range(cidr, dhcp=dhcp),)
    )
    demand_valid(document, "network.rng")
    seen = read_network(document)
    assert (seen.name, seen.forward, seen.bridge, seen.domain) == ("n&m", forward, "vbr7", "lab.test")
    assert (seen.cidrs, seen.dhcp) == ((cidr,), dhcp)


def test_a_bridge_network_fits_the_schema() -> None:
    document = network_document(name="outer", forward="bridge", bridge="br0")
    demand_valid(document, "network.rng")
    assert read_network(document).bridge == "br0"


def test_the_host_has_the_first_address_and_dhcp_the_others() -> None:
    found = address_range("192.0.2.0/29", dhcp=True)
    assert (str(found.host), found.first, found.last) == ("192.0.2.1/29", "192.0.2.2", "192.0.2.6")


@pytest.mark.parametrize("cidr", ["", "x", "192.0.2.7/24", "192.0.2.0/31", "224.0.0.0/8", "127.0.0.0/8", "0.0.0.0/0"])
def test_ranges_that_cannot_be_used_are_refused(cidr: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        address_range(cidr, dhcp=True)
    assert caught.value.field == "cidr"
