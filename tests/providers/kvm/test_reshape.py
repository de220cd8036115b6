"""Options of VMs on the local libvirt, at the creation and later; libvirt's own document is the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from providers.base import InvalidRequest
from providers.kvm.testing import Backend
from tests.providers.kvm.conftest import MakeVm

pytestmark = pytest.mark.live


def document(backend: Backend, external_id: str, *, live: bool = False) -> Any:
    """What libvirt itself says: 2 is the document of the next start, 1 shows secrets."""
    return etree.fromstring(backend.raw.lookupByUUIDString(external_id).XMLDesc(1 if live else 3))


def test_a_running_machines_cpus_are_pinned_at_once(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(vcpus=2, start=True)
    reshape, domain = backend.driver.reshape, backend.raw.lookupByUUIDString(vm.external_id)
    changed = reshape.set_options(vm.external_id, {"pinning": ["0=0", "1=0"]})
    threads = document(backend, vm.external_id, live=True).findall("cputune/vcpupin")
    assert [(pin.get("vcpu"), pin.get("cpuset")) for pin in threads] == [("0", "0"), ("1", "0")]
    others = (False,) * (backend.raw.getCPUMap()[0] - 1)
    assert [pinned for *_, pinned in zip(*domain.vcpus(), strict=True)] == [(True, *others)] * 2
    assert changed.pending == ()


def test_all_that_is_asked_for_at_the_creation_is_in_libvirts_document(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(
        vcpus=2,
        options={
            "cpu_model": "qemu64",
            "cpu_flags": ["+sse4.1", "-svm"],
            "max_vcpus": 4,
            "sockets": 1,
            "cores": 2,
            "threads": 2,
            "pinning": ["0=0"],
            "max_memory_mib": 64,
            "numa": ["0-1=32", "2-3=32"],
            "boot_menu": True,
            "boot_order": ["network", "disk"],
            "clock": "localtime",
            "watchdog": "i6300esb",
            "watchdog_action": "poweroff",
            "video": "vga",
            "rng": False,
            "agent": False,
            "tpm": True,
        },
    )
    root = document(backend, vm.external_id)
    assert (root.findtext("vcpu"), root.find("vcpu").get("current")) == ("4", "2")
    assert root.findtext("cpu/model") == "qemu64"
    assert {feature.get("name"): feature.get("policy") for feature in root.iterfind("cpu/feature")} == {
        "sse4.1": "require",
        "svm": "disable",
    }
    assert root.find("cpu/topology").get("cores") == "2"
    assert [cell.get("memory") for cell in root.iterfind("cpu/numa/cell")] == ["32768", "32768"]
    assert root.find("cputune/vcpupin").get("cpuset") == "0"
    assert (root.findtext("memory"), root.findtext("currentMemory")) == ("65536", "32768")
    assert root.find("os/bootmenu").get("enable") == "yes"
    assert root.find("devices/interface/boot").get("order") == "1"
    assert root.find("devices/disk/boot").get("order") == "2"
    assert root.find("clock").get("offset") == "localtime"
    assert dict(root.find("devices/watchdog").attrib) == {"model": "i6300esb", "action": "poweroff"}
    assert root.find("devices/video/model").get("type") == "vga"
    assert root.find("devices/tpm/backend").get("version") == "2.0"
    assert root.find("devices/rng") is None
    assert root.find("devices/channel") is None
    assert (vm.vcpus, vm.memory_mib, vm.pending) == (2, 32, ())


def test_a_running_vm_keeps_for_its_next_start_what_it_cannot_take(backend: Backend, make_vm: MakeVm) -> None:
    reshape, power, machines = backend.driver.reshape, backend.driver.power, backend.driver.machines
    vm = make_vm(start=True, options={"max_vcpus": 3, "tpm": True})
    grown = reshape.set_vcpus(vm.external_id, 2)
    assert (grown.vcpus, grown.pending) == (2, ()), "Within its most it grows while it runs."
    beyond = reshape.set_vcpus(vm.external_id, 5)
    assert (beyond.vcpus, beyond.pending) == (2, ("CPUs: 2 → 5", "Most CPUs: 3 → 5"))
    changed = reshape.set_options(vm.external_id, {"boot_menu": True, "watchdog": "i6300esb", "video": "vga"})
    assert changed.pending[2:] == (
        "Boot menu: no → yes",
        "Screen: virtio → vga",
        "Watchdog: none → i6300esb",
    )
    assert next(each for each in machines.list() if each.external_id == vm.external_id).pending == changed.pending
    told = reshape.options(vm.external_id)
    assert (told.live["video"], told.pending["video"]) == ("virtio", "vga")
    assert document(backend, vm.external_id, live=True).find("devices/watchdog") is None
    power.stop(vm.external_id, force=True)
    started = power.start(vm.external_id)
    assert (started.vcpus, started.pending) == (5, ())
    assert document(backend, vm.external_id, live=True).find("devices/watchdog").get("model") == "i6300esb"


def test_memory_is_plugged_in_as_modules_where_there_are_slots(backend: Backend, make_vm: MakeVm) -> None:
    reshape, power = backend.driver.reshape, backend.driver.power
    vm = make_vm(start=True, vcpus=2, memory_mib=64, options={"max_memory_mib": 448, "memory_slots": 2})
    assert (vm.memory_mib, vm.pending) == (64, ())
    grown = reshape.set_memory(vm.external_id, 192)
    assert (grown.memory_mib, grown.pending) == (192, ())
    sizes = document(backend, vm.external_id, live=True).findall("devices/memory[@model='dimm']/target/size")
    assert [size.text for size in sizes] == ["131072"]
    with pytest.raises(InvalidRequest, match="320 or 448 MiB") as caught:
        reshape.set_memory(vm.external_id, 400)
    assert caught.value.field == "memory_mib"
    assert reshape.set_memory(vm.external_id, 320).memory_mib == 320
    full = reshape.set_memory(vm.external_id, 448)
    assert (full.memory_mib, full.pending) == (320, ("Memory: 320 MiB → 448 MiB",)), "Both slots are taken."
    power.stop(vm.external_id, force=True)
    started = power.start(vm.external_id)
    assert (started.memory_mib, started.pending) == (448, ())
    power.stop(vm.external_id, force=True)
    less = reshape.set_memory(vm.external_id, 128)
    assert (less.memory_mib, (less.options or {})["max_memory_mib"]) == (128, 448)
    assert (less.options or {}).get("numa") is None, "The cell that modules need is no wish of anybody's."
    reshape.set_vcpus(vm.external_id, 4)
    assert document(backend, vm.external_id).find("cpu/numa/cell").get("cpus") == "0-3"
    reshape.set_options(vm.external_id, {"memory_slots": 0})
    root = document(backend, vm.external_id)
    assert (root.find("maxMemory"), root.find("cpu/numa"), root.find("devices/memory")) == (None, None, None)
    assert root.findtext("memory") == str(448 * 1024)


def test_a_guest_that_gives_nothing_back_keeps_it_until_its_restart(backend: Backend, make_vm: MakeVm) -> None:
    """Firmware has no balloon driver: what libvirt accepts has not happened, and must not look so."""
    vm = make_vm(start=True, memory_mib=48, options={"max_memory_mib": 64})
    asked = backend.driver.reshape.set_memory(vm.external_id, 32)
    assert (asked.memory_mib or 0) > 32
    assert asked.pending == (f"Memory: {asked.memory_mib} MiB → 32 MiB",)


def test_a_change_keeps_the_screens_password_and_what_nobody_here_knows(backend: Backend, make_vm: MakeVm) -> None:
    """libvirt leaves secrets out of the document it shows, and defining that again would lose them."""
    vm = make_vm()
    root = document(backend, vm.external_id)
    root.find("devices/graphics").set("passwd", "letmein")
    devices = root.find("devices")
    etree.SubElement(devices, "sound", model="ich9")
    etree.SubElement(root.find("metadata"), "{urn:somebody:else}note").text = "kept"
    root.append(etree.fromstring("<blkiotune><weight>321</weight></blkiotune>"))
    backend.raw.defineXML(etree.tostring(root, encoding="unicode"))
    backend.driver.reshape.set_options(vm.external_id, {"boot_menu": True})
    backend.driver.reshape.set_memory(vm.external_id, 48)
    root = document(backend, vm.external_id)
    assert root.find("devices/graphics").get("passwd") == "letmein"
    assert root.find("devices/sound").get("model") == "ich9"
    assert root.findtext("metadata/{urn:somebody:else}note") == "kept"
    assert root.findtext("blkiotune/weight") == "321"
    assert root.find("os/bootmenu").get("enable") == "yes"


def test_setting_what_is_set_defines_nothing_anew(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    before = backend.raw.lookupByUUIDString(vm.external_id).XMLDesc(3)
    reshape = backend.driver.reshape
    reshape.set_options(vm.external_id, dict(reshape.options(vm.external_id).pending))
    reshape.set_options(vm.external_id, {"cpu_mode": "", "video": "", "rng": True, "pci_devices": []})
    assert backend.raw.lookupByUUIDString(vm.external_id).XMLDesc(3) == before


def test_uefi_with_secure_boot_starts_with_fresh_variables_and_leaves_none_behind(
    backend: Backend, make_vm: MakeVm
) -> None:
    if "secure_boot" in backend.driver.probe().machines.option_refusals:
        pytest.skip("The host has no firmware with Secure Boot.")
    driver = backend.driver
    vm = make_vm(firmware="uefi", memory_mib=64, start=True)
    plain = document(backend, vm.external_id, live=True)
    variables = Path(plain.findtext("os/nvram"))
    before = variables.read_bytes()
    assert plain.find("os/loader").get("secure") != "yes"
    changed = driver.reshape.set_options(vm.external_id, {"secure_boot": True})
    assert changed.pending == ("Secure Boot: no → yes",)
    driver.power.stop(vm.external_id, force=True)
    driver.power.start(vm.external_id)
    secure = document(backend, vm.external_id, live=True)
    assert secure.find("os/loader").get("secure") == "yes"
    assert secure.find("features/smm").get("state") == "on"
    # Variables of the firmware without Secure Boot would go on without it.
    keys = b"Microsoft Corporation UEFI CA"
    assert keys not in before
    assert keys in Path(secure.findtext("os/nvram")).read_bytes()
    driver.machines.delete(vm.external_id)
    assert not variables.exists()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_vcpus": 1000}, "options.max_vcpus"),
        ({"max_memory_mib": 16}, "options.max_memory_mib"),
        ({"memory_slots": 2}, "options.memory_slots"),
        ({"sockets": 2, "cores": 2, "threads": 1}, "options.sockets"),
        ({"sockets": 2}, "options.cores"),
        ({"numa": ["0=16"]}, "options.numa"),
        ({"numa": ["0-7=32"]}, "options.numa"),
        ({"pinning": ["7=0"]}, "options.pinning"),
        ({"pinning": ["0=999"]}, "options.pinning"),
        ({"cpu_model": "Pentium-9000"}, "options.cpu_model"),
        ({"cpu_flags": ["+no such flag"]}, "options.cpu_flags.0"),
        ({"boot_order": ["vdz"]}, "options.boot_order"),
        ({"pci_devices": ["0000:ff:1f.7"]}, "options.pci_devices"),
        ({"usb_devices": ["dead:beef"]}, "options.usb_devices"),
        ({"firmware": "bios", "secure_boot": True}, "options.secure_boot"),
        ({"machine": "pc"}, "options.machine"),
        ({"no_such_option": 1}, "options.no_such_option"),
    ],
)
def test_what_the_host_cannot_give_is_refused_with_its_field(
    backend: Backend, make_vm: MakeVm, options: dict[str, Any], field: str
) -> None:
    vm = make_vm()
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.reshape.set_options(vm.external_id, options)
    assert caught.value.field == field


def test_a_flag_that_the_hypervisor_does_not_know_is_refused_before_anything_is_made(
    backend: Backend, make_vm: MakeVm
) -> None:
    """libvirt would take it, and the machine would never start."""
    vm = make_vm()
    with pytest.raises(InvalidRequest, match="flyingpig"):
        backend.driver.reshape.set_options(vm.external_id, {"cpu_model": "qemu64", "cpu_flags": ["+flyingpig"]})
    with pytest.raises(InvalidRequest, match="flyingpig"):
        make_vm(options={"cpu_flags": ["-flyingpig"]})


def test_a_shared_folder_shares_the_memory_too(backend: Backend, make_vm: MakeVm, tmp_path: Path) -> None:
    if "shares" in backend.driver.probe().machines.option_refusals:
        pytest.skip("The host has no virtiofsd.")
    vm = make_vm(options={"shares": [f"data={tmp_path}"]})
    root = document(backend, vm.external_id)
    assert root.find("devices/filesystem/target").get("dir") == "data"
    assert root.find("memoryBacking/access").get("mode") == "shared"
    backend.driver.power.start(vm.external_id)
    assert backend.driver.machines.get(vm.external_id).pending == ()
    backend.driver.power.stop(vm.external_id, force=True)
    backend.driver.reshape.set_options(vm.external_id, {"shares": []})
    assert document(backend, vm.external_id).find("devices/filesystem") is None


def test_what_is_found_at_the_host_is_offered_and_the_rest_says_why_not(backend: Backend) -> None:
    machines = backend.driver.probe().machines
    assert {"", "maximum", "emulator-default"} <= set(machines.option_choices["cpu_mode"])
    assert "qemu64" in machines.option_choices["cpu_model"]
    assert set(machines.option_choices["machine"]) == {"", "q35", "pc"}
    assert not set(machines.option_refusals) & {"cpu_mode", "boot_order", "rng"}
    assert all(reason.endswith(".") for reason in machines.option_refusals.values())
