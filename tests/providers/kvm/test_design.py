"""Every choice that the design makes for a person."""

from __future__ import annotations

from typing import Any

import pytest

from providers.base import DiskSpec, InvalidRequest, NicSpec, VmSpec
from providers.kvm.design import (
    Content,
    card,
    check,
    check_name,
    design,
    domain_uuid,
    next_target,
    options_of,
)
from providers.kvm.hostfacts import HostFacts, choose_virt_type
from providers.kvm.options import KvmOptions
from providers.kvm.xml.capabilities import SeenHost
from providers.kvm.xml.elements import Machine
from tests.providers.kvm.facts import (
    ARM,
    CONTENTS,
    DISK,
    EMULATED,
    FROM_IMAGE,
    FROM_ISO,
    ISO,
    KVM,
    NOW,
    OLD,
    REMOTE,
    SEED,
    UUID_1,
    spec,
)


def designed(wish: VmSpec | None = None, facts: HostFacts = KVM, content: Content | None = None) -> Machine:
    return design(wish or spec(), facts, content or Content(), uuid=UUID_1, now=NOW)


@pytest.mark.parametrize(
    ("facts", "options", "mode"),
    [
        (KVM, {}, "host-passthrough"),
        (EMULATED, {}, "maximum"),
        (ARM, {}, "host-passthrough"),
        (KVM, {"cpu_mode": "host-model"}, "host-model"),
        (KVM, {"cpu_mode": "emulator-default"}, ""),
    ],
)
def test_the_processor(facts: HostFacts, options: dict[str, str], mode: str) -> None:
    assert designed(spec(options=options), facts).cpu_mode == mode


@pytest.mark.parametrize(
    ("facts", "options", "machine"),
    [(KVM, {}, "q35"), (KVM, {"machine": "pc"}, "pc"), (OLD, {}, "pc"), (ARM, {}, "virt")],
)
def test_the_machine(facts: HostFacts, options: dict[str, str], machine: str) -> None:
    assert designed(spec(options=options), facts).machine == machine


@pytest.mark.parametrize(
    ("facts", "options", "video"),
    [
        (KVM, {}, "virtio"),
        (OLD, {}, "vga"),
        (KVM, {"video": "none"}, ""),
        (KVM, {"video": "bochs"}, "bochs"),
    ],
)
def test_the_screen(facts: HostFacts, options: dict[str, str], video: str) -> None:
    assert designed(spec(options=options), facts).video == video


@pytest.mark.parametrize(
    ("facts", "firmware", "chosen"),
    [(KVM, "", ""), (KVM, "bios", ""), (KVM, "uefi", "efi"), (ARM, "", "efi"), (ARM, "uefi", "efi")],
)
def test_the_firmware(facts: HostFacts, firmware: str, chosen: str) -> None:
    assert designed(spec(firmware=firmware), facts).firmware == chosen


def test_nothing_ever_listens_on_all_addresses() -> None:
    assert designed(facts=KVM).listen == "none"
    assert designed(facts=REMOTE).listen == "127.0.0.1"


IMAGE = DiskSpec(image="/pool/base.qcow2")
BLANK = DiskSpec(size_gib=1)


@pytest.mark.parametrize(
    ("disks", "content", "drives"),
    [
        ((IMAGE,), Content(disks=(DISK,)), [("vda", "disk", 1)]),
        ((IMAGE,), Content(disks=(DISK,), seed=SEED), [("vda", "disk", 1), ("sda", "cdrom", None)]),
        ((BLANK,), Content(disks=(DISK,), iso=ISO), [("vda", "disk", 1), ("sda", "cdrom", 2)]),
        ((IMAGE,), Content(disks=(DISK,), iso=ISO), [("vda", "disk", 2), ("sda", "cdrom", 1)]),
        ((), Content(iso=ISO, seed=SEED), [("sda", "cdrom", 1), ("sdb", "cdrom", None)]),
        (
            (IMAGE, BLANK),
            Content(disks=(DISK, DISK), iso=ISO, seed=SEED),
            [("vda", "disk", 2), ("vdb", "disk", None), ("sda", "cdrom", 1), ("sdb", "cdrom", None)],
        ),
    ],
)
def test_drives_and_their_boot_order(disks: Any, content: Content, drives: list[Any]) -> None:
    machine = designed(spec(disks=disks), content=content)
    assert [(drive.target, drive.device, drive.boot_order) for drive in machine.drives] == drives


@pytest.mark.parametrize("facts", [KVM, ARM])
def test_eight_things_can_be_plugged_in_while_it_runs(facts: HostFacts) -> None:
    small, large = designed(facts=facts), designed(FROM_IMAGE, facts, CONTENTS["image"])
    assert small.root_ports == 6 + 8
    assert large.root_ports == small.root_ports + len(CONTENTS["image"].disks) + len(FROM_IMAGE.nics)
    assert designed(spec(options={"machine": "pc"})).root_ports == 0


def test_each_bus_has_its_own_names() -> None:
    disks = (DiskSpec(size_gib=1, bus="sata"), DiskSpec(size_gib=1), DiskSpec(size_gib=1, bus="scsi"))
    machine = designed(spec(disks=disks), content=Content(disks=(DISK,) * 3, seed=SEED))
    assert [(drive.target, drive.bus) for drive in machine.drives] == [
        ("sda", "sata"),
        ("vda", "virtio"),
        ("sdb", "scsi"),
        ("sdc", "sata"),
    ]
    assert next_target("virtio", [f"vd{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]) == "vdaa"


def test_cards_lead_to_networks_and_bridges() -> None:
    first, second = designed(FROM_IMAGE, content=CONTENTS["image"]).cards
    assert (first.network, first.bridge, first.model) == ("default", "", "virtio")
    assert (second.network, second.bridge, second.model) == ("", "br0", "e1000e")
    assert card(NicSpec(network="n"), KvmOptions(nic_model="e1000")).model == "e1000"


def test_the_portals_facts_travel_with_the_vm() -> None:
    note = designed(FROM_IMAGE, content=CONTENTS["image"]).note
    assert note.portal_uuid == str(UUID_1)
    assert note.image == "/pool/base.qcow2"
    assert note.values == (("a", "1"), ("b", "2 & <3>"))
    assert note.created_at == "2026-01-02T03:04:05+00:00"


def test_a_portal_uuid_is_the_vms_uuid_and_any_other_text_makes_one() -> None:
    assert domain_uuid(str(UUID_1)) == UUID_1
    assert domain_uuid("job 7") == domain_uuid("job 7") != domain_uuid("job 8")


@pytest.mark.parametrize(
    ("wish", "facts", "field"),
    [
        (spec(vcpus=289), KVM, "vcpus"),
        (spec(vcpus=9), ARM, "vcpus"),
        (spec(memory_mib=16_385), KVM, "memory_mib"),
        (spec(flavor="small"), KVM, "flavor"),
        (spec(zone="here"), KVM, "zone"),
        (spec(firmware="open"), KVM, "firmware"),
        (spec(firmware="uefi"), OLD, "firmware"),
        (spec(firmware="bios"), ARM, "firmware"),
        (spec(options={"cpu_mode": "fast"}), KVM, "options.cpu_mode"),
        (spec(options={"colour": "red"}), KVM, "options.colour"),
        (spec(description="a\0b"), KVM, "description"),
        (spec(metadata={"k": "\x1b"}), KVM, "metadata"),
        (spec(disks=(DiskSpec(size_gib=1, bus="floppy"),)), KVM, "disks.0.bus"),
        (spec(nics=(NicSpec(network="n", mac="zz"),)), KVM, "nics.0.mac"),
        (spec(nics=(NicSpec(network="n", mac="01:00:5e:00:00:01"),)), KVM, "nics.0.mac"),
        (spec(nics=(NicSpec(network="n", address="192.0.2.300/24"),)), KVM, "nics.0.address"),
        (spec(nics=(NicSpec(network="n", model="fast'card"),)), KVM, "nics.0.model"),
        (spec(disks=(DiskSpec(size_gib=1, bus="ide"),)), KVM, "disks.0.bus"),
    ],
)
def test_what_the_host_can_never_run_is_refused_with_its_field(wish: VmSpec, facts: HostFacts, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(wish, facts)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["vm", "a&b<c>\"'", "ü 😀", "-x", "%s$(id)`", "a,b=c", "x" * 63])
def test_names_that_are_kept_exactly(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a/b", "a\nb", "a\tb", "\x00", "..", ".", "a\x7f", "😀" * 63])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_name(name)
    assert caught.value.field == "name"


def test_wrong_choices_of_hardware_are_refused() -> None:
    for facts, options in ((OLD, {"machine": "q35"}), (OLD, {"video": "virtio"}), (EMULATED, {"cpu_mode": "maximum"})):
        wish = spec(options=options)
        if facts is EMULATED:
            assert designed(wish, facts).cpu_mode == "maximum"
            continue
        with pytest.raises(InvalidRequest) as caught:
            designed(wish, facts)
        assert caught.value.field == f"options.{next(iter(options))}"
    with pytest.raises(InvalidRequest):
        designed(spec(options={"cpu_mode": "host-passthrough"}), EMULATED)
    assert options_of(FROM_ISO) == KvmOptions()


FLAGS = frozenset({"vmx"})


@pytest.mark.parametrize(
    ("wanted", "listed", "answers", "flags", "vendor", "chosen"),
    [
        ("kvm", False, False, frozenset(), "Intel", "kvm"),
        ("qemu", True, True, FLAGS, "Intel", "qemu"),
        ("auto", False, True, FLAGS, "Intel", "qemu"),
        ("auto", True, False, FLAGS, "Intel", "qemu"),
        ("auto", True, True, FLAGS, "Intel", "kvm"),
        ("auto", True, True, frozenset({"svm"}), "AMD", "kvm"),
        ("auto", True, True, frozenset({"sse"}), "Intel", "qemu"),
        ("auto", True, True, frozenset({"sse"}), "AMD", "qemu"),
    ],
)
def test_kvm_or_emulation(
    wanted: str, listed: bool, answers: bool, flags: frozenset[str], vendor: str, chosen: str
) -> None:
    guests = {("x86_64", "qemu")} | ({("x86_64", "kvm")} if listed else set())
    host = SeenHost(arch="x86_64", cpu_features=frozenset(), cpu_vendor=vendor, guests=frozenset(guests))
    assert choose_virt_type(host, flags, wanted, answers) == chosen


def test_a_remote_amd_host_need_not_name_what_its_model_implies() -> None:
    host = SeenHost(arch="x86_64", cpu_features=frozenset(), cpu_vendor="AMD", guests=frozenset({("x86_64", "kvm")}))
    assert choose_virt_type(host, None, "auto", kvm_answers=True) == "kvm"
