"""Hosts and storage as designs are given them in tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from providers.base import DiskSpec, NicSpec, VmSpec
from providers.kvm.design import Content
from providers.kvm.hostfacts import HostFacts
from providers.kvm.xml.elements import Source

UUID_1 = UUID("11111111-2222-4333-8444-555555555555")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

KVM = HostFacts(
    virt_type="kvm",
    arch="x86_64",
    emulator="/usr/bin/qemu-system-x86_64",
    machines=("q35", "pc"),
    cpu_modes=frozenset({"host-passthrough", "host-model", "maximum"}),
    videos=frozenset({"virtio", "vga", "bochs"}),
    has_efi=True,
    max_vcpus=288,
    memory_mib=16_384,
    is_local=True,
)
EMULATED = replace(KVM, virt_type="qemu", cpu_modes=frozenset({"maximum", "host-model"}))
REMOTE = replace(KVM, is_local=False)
OLD = replace(KVM, machines=("pc",), videos=frozenset({"vga", "cirrus"}), has_efi=False)
ARM = replace(
    KVM,
    arch="aarch64",
    emulator="/usr/bin/qemu-system-aarch64",
    machines=("virt",),
    cpu_modes=frozenset({"host-passthrough"}),
    max_vcpus=8,
)

DISK = Source(kind="file", path="/pool/vm-0.qcow2", format="qcow2")
MORE = Source(kind="block", path="/dev/vg/vm-1", format="raw")
NETWORKED = Source(kind="volume", pool="ceph", volume="vm-2", format="raw")
ISO = Source(kind="file", path="/pool/debian.iso")
SEED = Source(kind="file", path="/pool/vm-seed.iso")


def spec(**values: object) -> VmSpec:
    return VmSpec.model_validate({"name": "vm", "vcpus": 2, "memory_mib": 1024, **values})


FROM_IMAGE = spec(
    name="a&b<c>\"' ü 😀",
    portal_uuid=str(UUID_1),
    description='Says <hello> & "good-bye"\nin two lines',
    metadata={"b": "2 & <3>", "a": "1"},
    tags=("blue",),
    disks=(DiskSpec(image="/pool/base.qcow2"), DiskSpec(size_gib=5), DiskSpec(size_gib=6, bus="scsi")),
    nics=(
        NicSpec(network="default", mac="52:54:00:00:00:01"),
        NicSpec(network="bridge:br0", mac="52:54:00:00:00:02", model="e1000e"),
    ),
)
FROM_ISO = spec(disks=(DiskSpec(size_gib=10),), iso="/pool/debian.iso", firmware="uefi")
CONTENTS = {
    "image": Content(disks=(DISK, MORE, NETWORKED), seed=SEED, owned=("/pool/vm-0.qcow2", "/pool/vm-seed.iso")),
    "iso": Content(disks=(DISK,), iso=ISO, owned=("/pool/vm-0.qcow2",)),
    "empty": Content(),
}
#: A host that has everything an option can ask for, and a VM that asks for it.
ABLE = replace(
    KVM,
    cpu_models=("Nehalem", "qemu64"),
    cpus=frozenset(range(8)),
    numa_nodes=frozenset({0, 1}),
    has_secure_boot=True,
    has_tpm=True,
    has_virtiofs=True,
    hugepages_kib=(2048,),
    pci_devices=(("0000:06:02.0", "Intel Card"),),
    usb_devices=(("046d:c52b", "Logitech Receiver"),),
)
SHAPED = FROM_IMAGE.model_copy(
    update={
        "firmware": "uefi",
        "options": {
            "cpu_model": "Nehalem",
            "cpu_flags": ["+aes", "-hle"],
            "max_vcpus": 4,
            "sockets": 1,
            "cores": 2,
            "threads": 2,
            "pinning": ["0=2-3"],
            "max_memory_mib": 2048,
            "numa": ["0-1=1024", "2-3=1024"],
            "hugepages": "2048",
            "numa_nodes": "1",
            "numa_mode": "preferred",
            "secure_boot": True,
            "tpm": True,
            "boot_order": ["vda", "network"],
            "boot_menu": True,
            "clock": "localtime",
            "watchdog": "i6300esb",
            "watchdog_action": "poweroff",
            "rng": False,
            "agent": False,
            "pci_devices": ["0000:06:02.0"],
            "usb_devices": ["046d:c52b"],
            "shares": ["data=/srv/a&b"],
        },
    }
)
