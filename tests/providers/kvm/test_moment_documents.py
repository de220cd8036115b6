"""Documents of snapshots, of copies and of VMs that moved: schema-valid, and nothing lost that was not meant."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from providers.kvm.xml.build import text_at
from providers.kvm.xml.elements import Note
from providers.kvm.xml.identity import of_copy, of_moved
from providers.kvm.xml.snapshots import (
    domain_then,
    format_below,
    read_snapshot,
    snapshot_document,
    with_files,
    without_layers,
)
from tests.providers.kvm.test_documents import DESIGNS, demand_valid, document_of

GOLDEN = Path(__file__).with_name("golden")
NAME = "a&b<c>\"' – ü"

#: As libvirt 9.0 gives the snapshot of a running VM back, cut to what is read.
KEPT = """
<domainsnapshot>
  <name>then</name>
  <description>before &lt;it&gt;</description>
  <state>disk-snapshot</state>
  <parent><name>root</name></parent>
  <creationTime>1795371521</creationTime>
  <memory snapshot='no'/>
  <disks>
    <disk name='vda' snapshot='external' type='file'>
      <driver type='qcow2'/><source file='/pool/vm-0123456789ab-vda-1.qcow2'/>
    </disk>
    <disk name='sda' snapshot='no'/>
  </disks>
  <domain type='kvm'>
    <name>vm</name><uuid>01234567-89ab-4cde-8f01-23456789abcd</uuid>
    <devices>
      <disk type='file' device='disk'>
        <driver name='qemu' type='raw' discard='unmap'/>
        <source file='/pool/live.raw' index='1'/><backingStore/><target dev='vda' bus='virtio'/>
      </disk>
    </devices>
  </domain>
  <inactiveDomain type='kvm'>
    <name>vm</name><uuid>01234567-89ab-4cde-8f01-23456789abcd</uuid>
    <devices>
      <disk type='file' device='disk'>
        <driver name='qemu' type='raw' discard='unmap'/>
        <source file='/pool/base.raw'/><target dev='vda' bus='virtio'/>
      </disk>
      <disk type='file' device='cdrom'>
        <driver name='qemu' type='raw'/><source file='/pool/seed.iso'/><target dev='sda' bus='sata'/><readonly/>
      </disk>
    </devices>
  </inactiveDomain>
</domainsnapshot>
"""


def pretty(document: str) -> str:
    return etree.tostring(etree.fromstring(document), pretty_print=True, encoding="unicode")


def test_snapshots_are_written_as_they_were_looked_at() -> None:
    for name, document in {
        "snapshot-inside": snapshot_document(name=NAME, description="<of> & old"),
        "snapshot-layers": snapshot_document(name=NAME, layers={"vda": "/pool/a & b.qcow2"}, left_out=("sda",)),
    }.items():
        demand_valid(document, "domainsnapshot.rng")
        assert pretty(document) == (GOLDEN / f"{name}.xml").read_text()


def test_a_snapshot_is_read_with_all_that_matters() -> None:
    seen = read_snapshot(KEPT)
    assert (seen.name, seen.description, seen.parent, seen.state) == ("then", "before <it>", "root", "disk-snapshot")
    assert (seen.is_external, seen.has_memory) == (True, False)
    assert seen.created_at is not None
    assert seen.created_at.tzinfo is not None
    assert seen.files == {"vda": "/pool/base.raw"}, "What it would be when stopped; the drive for CDs is left out."
    assert seen.drives[0].format == "raw"
    assert read_snapshot("<domainsnapshot><name>x</name></domainsnapshot>").drives == ()


def test_what_is_gone_back_to_has_other_files_and_all_else() -> None:
    domain = etree.fromstring(domain_then(KEPT, {"vda": "/pool/new.qcow2"}))
    assert domain.tag == "domain"
    assert text_at(domain, "devices/disk[1]/source/@file") == "/pool/new.qcow2"
    assert text_at(domain, "devices/disk[1]/driver/@type") == "qcow2"
    assert text_at(domain, "devices/disk[1]/driver/@discard") == "unmap"
    assert text_at(domain, "devices/disk[2]/source/@file") == "/pool/seed.iso"
    assert domain_then("<domainsnapshot/>", {}) == ""


def test_a_redefined_snapshot_leads_elsewhere_in_both_its_documents() -> None:
    moved = with_files(KEPT, {"/pool/base.raw": "/pool/below.qcow2", "/pool/live.raw": "/pool/below.qcow2"}, "qcow2")
    assert moved.count("/pool/below.qcow2") == 2
    assert read_snapshot(moved).files == {"vda": "/pool/below.qcow2"}
    assert "vda-1.qcow2" not in without_layers(KEPT)
    assert read_snapshot(without_layers(KEPT)).files == read_snapshot(KEPT).files


def test_the_format_of_a_file_below_is_what_the_document_says() -> None:
    text = """<domain><devices><disk><source file='/top'/>
    <backingStore><format type='qcow2'/><source file='/mid'/>
    <backingStore><format type='raw'/><source dev='/dev/base'/></backingStore></backingStore>
    </disk></devices></domain>"""
    assert [format_below(text, path) for path in ("/mid", "/dev/base", "/other")] == ["qcow2", "raw", ""]


def test_a_copy_is_the_same_machine_with_another_identity() -> None:
    for name in DESIGNS:
        original = document_of(name)
        root = etree.fromstring(original)
        macs = {
            mac.get("address", ""): f"52:54:00:00:00:{index:02x}" for index, mac in enumerate(root.iterfind(".//mac"))
        }
        copy = of_copy(
            original,
            name="copy",
            uuid="01234567-89ab-4cde-8f01-23456789abcd",
            wanted_note=Note(portal_uuid="p"),
            macs=macs,
            disks={"vda": "/pool/copy.qcow2"},
            raw_disks={},
            media={},
        )
        demand_valid(copy, "domain.rng")
        made = etree.fromstring(copy)
        assert (text_at(made, "name"), text_at(made, "uuid")) == ("copy", "01234567-89ab-4cde-8f01-23456789abcd")
        assert [mac.get("address") for mac in made.iterfind(".//mac")] == list(macs.values())
        assert others(made) == others(root)


def others(domain: etree._Element) -> list[tuple[str, str]]:
    """Everything of a document but who it is and where its disks are."""
    skipped = ("name", "uuid", "metadata", "mac", "source", "driver")
    return [
        (str(each.tag), str(sorted(each.attrib.items())))
        for each in domain.iter()
        if not any(str(part.tag) in skipped for part in (each, *each.iterancestors()))
    ]


def test_what_may_exist_only_once_is_not_copied() -> None:
    original = """<domain type='kvm'><name>a</name><uuid>x</uuid><genid>1</genid>
    <sysinfo type='smbios'><system><entry name='uuid'>u</entry><entry name='product'>p</entry></system></sysinfo>
    <os firmware='efi'><nvram template='/t'>/var/a_VARS.fd</nvram></os>
    <devices><interface type='network'><mac address='52:54:00:00:00:01'/><target dev='fixed0'/>
    <filterref filter='f'><parameter name='IP' value='192.0.2.1'/><parameter name='OTHER' value='1'/></filterref>
    </interface><graphics type='vnc' port='5907' autoport='no'/><vsock><cid auto='no' address='7'/></vsock>
    <channel type='unix'><source mode='bind' path='/run/a.sock'/><target type='virtio' name='x'/></channel>
    <unknown kept='yes'/></devices></domain>"""
    copy = of_copy(original, name="b", uuid="y", wanted_note=Note(), macs={}, disks={}, raw_disks={}, media={})
    for gone in ("192.0.2.1", "fixed0", "5907", "/run/a.sock", "a_VARS", "genid>1", ">u<", 'address="7"'):
        assert gone not in copy, gone
    for kept in ("OTHER", ">p<", 'template="/t"', "<unknown kept", "<genid/>"):
        assert kept in copy, kept


def test_a_moved_vm_has_its_files_there_and_empty_drives() -> None:
    moved = of_moved(document_of("iso-uefi"), Note(), {"vda": ("/there/disk.raw", "raw")}, ["sda"])
    demand_valid(moved, "domain.rng")
    root = etree.fromstring(moved)
    assert text_at(root, "devices/disk[1]/source/@file") == "/there/disk.raw"
    assert text_at(root, "devices/disk[1]/driver/@type") == "raw"
    assert root.find("devices/disk[2]/source") is None
