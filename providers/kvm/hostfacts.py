"""What the hypervisor can do, read once per connection: the facts that the design decides by."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.base import InvalidRequest
from providers.kvm.config import KvmConfig
from providers.kvm.connection import Connection
from providers.kvm.errors import still_there
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.capabilities import SeenEmulator, SeenHost, read_emulator, read_host, read_node_device

#: Capabilities change when packages of the host are upgraded.
_GOOD_FOR_S = 600.0

_X86 = frozenset({"x86_64", "i686"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """All that a design may depend on; no connection in it, so that designs can be tested by the hundred."""

    virt_type: str
    arch: str
    emulator: str
    machines: tuple[str, ...]
    """Machine families that the emulator has, the preferred one first ("q35", "pc", "virt")."""
    cpu_modes: frozenset[str]
    videos: frozenset[str]
    has_efi: bool
    max_vcpus: int
    memory_mib: int
    is_local: bool
    cpu_models: tuple[str, ...] = ()
    cpus: frozenset[int] = frozenset()
    """Numbers of the host's CPUs; empty where it does not tell."""
    numa_nodes: frozenset[int] = frozenset()
    """Likewise."""
    has_secure_boot: bool = False
    has_tpm: bool = False
    has_virtiofs: bool = False
    hugepages_kib: tuple[int, ...] = ()
    """Sizes of which the host has set pages aside."""
    pci_devices: tuple[tuple[str, str], ...] = ()
    """Address and words of those that can be handed to a VM."""
    usb_devices: tuple[tuple[str, str], ...] = ()
    has_spice: bool = False
    spice_address: str = ""
    """Where screens for people's own viewers listen; empty: nowhere."""
    has_vdagent: bool = False
    """QEMU itself can talk to the agent in the guest that shares the clipboard."""

    @property
    def is_x86(self) -> bool:
        return self.arch in _X86


class FactsReader:
    """Reads the facts and keeps them with the connection for ten minutes."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], tuple[float, HostFacts]] = {}

    def facts(self, connection: Connection, config: KvmConfig) -> HostFacts:
        """Raises libvirt's errors, and InvalidRequest when the wanted virtualisation is not offered."""
        asked = (config.virt_type, config.spice_address)
        known = self._facts.get(asked)
        now = time.monotonic()
        if known is not None and now - known[0] < _GOOD_FOR_S:
            return known[1]
        facts = _read(connection.raw, config)
        self._facts[asked] = (now, facts)
        return facts


def host_facts(connection: Connection, config: KvmConfig) -> HostFacts:
    """The facts behind a connection; reads them at most every ten minutes."""
    return connection.remembered(FactsReader, FactsReader).facts(connection, config)


def _read(raw: Any, config: KvmConfig) -> HostFacts:
    host = read_host(raw.getCapabilities())
    answers = _emulator(raw, host.arch, "kvm") is not None
    virt_type = choose_virt_type(host, _local_flags() if config.is_local else None, config.virt_type, answers)
    emulators = [
        (family, found)
        for family in (("q35", "pc") if host.arch in _X86 else ("virt",))
        if (found := _emulator(raw, host.arch, virt_type, family)) is not None
    ]
    if not emulators:
        raise InvalidRequest(f"The host offers no machine for {host.arch} under “{virt_type}”.", field="virt_type")
    best = emulators[0][1]
    return HostFacts(
        virt_type=virt_type,
        arch=host.arch,
        emulator=best.path,
        machines=tuple(family for family, _ in emulators),
        cpu_modes=best.cpu_modes,
        videos=best.videos,
        has_efi="efi" in best.firmwares,
        max_vcpus=best.max_vcpus,
        memory_mib=memory_mib(raw),
        is_local=config.is_local,
        cpu_models=best.cpu_models,
        cpus=host.cpus,
        numa_nodes=host.numa_nodes,
        has_secure_boot=best.has_secure_loader and "efi" in best.firmwares,
        has_tpm="emulator" in best.tpm_backends,
        has_virtiofs="virtiofs" in best.filesystem_drivers and (not config.is_local or _has_virtiofsd()),
        hugepages_kib=tuple(size for size in host.page_sizes_kib if size > _PAGE_KIB and _pages(raw, size)),
        # Without an IOMMU a device would write wherever the guest tells it to, so libvirt hands none over.
        pci_devices=_devices(raw, libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV) if host.has_iommu else (),
        usb_devices=_devices(raw, libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV),
        has_spice="spice" in best.screens,
        spice_address=config.spice_address,
        # No list names it. QEMU has it where it was built with SPICE's protocol.
        has_vdagent="spice" in best.screens and raw.getLibVersion() >= _VDAGENT_LIBVIRT,
    )


#: libvirt 8.4 knows `<channel type='qemu-vdagent'>`; it needs a QEMU of its own time (6.1).
_VDAGENT_LIBVIRT = 8_004_000
#: The usual page; larger ones must be set aside.
_PAGE_KIB = 4
_PCI_BRIDGE = 0x06
_USB_HUB_VENDOR = "1d6b:"
#: QEMU's capabilities say that it could talk to virtiofsd, and not whether that is installed.
_VIRTIOFSD = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/libexec/qemu/virtiofsd", "/usr/bin/virtiofsd")


def _has_virtiofsd() -> bool:
    return any(Path(path).exists() for path in _VIRTIOFSD)


def _pages(raw: Any, size_kib: int) -> bool:
    """Whether any page of this size is free; a host that does not tell has none."""
    try:
        free = raw.getFreePages([size_kib], 0, 1, 0)
    except LibvirtError:
        return False
    return any(int(count) > 0 for cell in free.values() for count in cell.values())


def _devices(raw: Any, flag: int) -> tuple[tuple[str, str], ...]:
    """Devices that may be handed to a VM: no bridges, and no hubs of the host itself."""
    try:
        seen = [read_node_device(text) for text in still_there(raw.listAllDevices(flag), lambda each: each.XMLDesc(0))]
    except LibvirtError:
        # A libvirt built without the driver of host devices.
        return ()
    usable = {key: words for key, words, kind in seen if kind >> 16 != _PCI_BRIDGE and _USB_HUB_VENDOR not in key}
    return tuple(sorted(usable.items()))


def choose_virt_type(host: SeenHost, local_flags: frozenset[str] | None, wanted: str, kvm_answers: bool) -> str:
    """Which virtualisation to use.

    `local_flags` are the processor's own where this machine is the host, else libvirt's word is taken.

    "Listed" is by the host's capabilities, "answers" is its domain capabilities, the flag is the processor's. A nested
    host can show /dev/kvm without the flag, and then starts no guest on it.

    | wanted | listed | answers | vmx or svm                       | result                          |
    |--------|--------|---------|----------------------------------|---------------------------------|
    | kvm    | –      | –       | –                                | kvm, and libvirt says its fault |
    | qemu   | –      | –       | –                                | qemu                            |
    | auto   | no     | –       | –                                | qemu                            |
    | auto   | yes    | no      | –                                | qemu                            |
    | auto   | yes    | yes     | yes                              | kvm                             |
    | auto   | yes    | yes     | not told (no x86, or AMD's name) | kvm                             |
    | auto   | yes    | yes     | no                               | qemu                            |
    """
    if wanted != "auto":
        return wanted
    if (host.arch, "kvm") not in host.guests or not kvm_answers:
        return "qemu"
    flags = host.cpu_features if local_flags is None else local_flags
    if host.arch not in _X86 or flags & {"vmx", "svm"}:
        return "kvm"
    # libvirt leaves out flags that the model's name implies, and the names of AMD's models imply svm.
    return "kvm" if local_flags is None and host.cpu_vendor == "AMD" else "qemu"


def memory_mib(raw: Any) -> int:
    """The host's memory. `virNodeGetInfo` misses memory that was plugged in later, so the larger of two answers."""
    total = int(raw.getInfo()[1])
    try:
        return max(total, int(raw.getMemoryStats(-1).get("total", 0)) // 1024)
    except LibvirtError:
        return total


def _local_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()


def _emulator(raw: Any, arch: str, virt_type: str, machine: str | None = None) -> SeenEmulator | None:
    try:
        return read_emulator(raw.getDomainCapabilities(None, arch, machine, virt_type, 0))
    except LibvirtError:
        return None
