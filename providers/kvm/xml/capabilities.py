"""Reading what a host and its emulators can do (formatcaps.html, formatdomaincaps.html at libvirt.org)."""

from __future__ import annotations

from dataclasses import dataclass

from providers.kvm.xml.amounts import number_of
from providers.kvm.xml.build import Element, read, text_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHost:
    arch: str
    cpu_features: frozenset[str]
    cpu_vendor: str
    guests: frozenset[tuple[str, str]]
    """Pairs of architecture and virtualisation type that the host offers for full virtualisation."""
    has_iommu: bool = False
    page_sizes_kib: tuple[int, ...] = ()
    """Of memory pages, the usual one among them."""
    cpus: frozenset[int] = frozenset()
    """Numbers of the host's CPUs; empty where it does not tell."""
    numa_nodes: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEmulator:
    path: str
    machine: str
    arch: str
    max_vcpus: int
    cpu_modes: frozenset[str]
    videos: frozenset[str]
    disk_buses: frozenset[str]
    firmwares: frozenset[str]
    cpu_models: tuple[str, ...] = ()
    """Names of the models that can run here."""
    tpm_backends: frozenset[str] = frozenset()
    filesystem_drivers: frozenset[str] = frozenset()
    has_secure_loader: bool = False
    screens: frozenset[str] = frozenset()
    """Protocols of screens: "vnc", "spice" …"""


def read_host(text: str) -> SeenHost:
    """`virConnectGetCapabilities`."""
    root = read(text)
    return SeenHost(
        arch=text_at(root, "host/cpu/arch"),
        cpu_features=frozenset(feature.get("name") or "" for feature in root.iterfind("host/cpu/feature")),
        cpu_vendor=text_at(root, "host/cpu/vendor"),
        guests=frozenset(
            (arch.get("name") or "", domain.get("type") or "")
            for guest in root.iterfind("guest")
            if text_at(guest, "os_type") == "hvm"
            for arch in guest.iterfind("arch")
            for domain in arch.iterfind("domain")
        ),
        has_iommu=text_at(root, "host/iommu/@support") == "yes",
        page_sizes_kib=tuple(sorted({number_of(page.get("size"), 0) for page in root.iterfind("host/cpu/pages")})),
        cpus=frozenset(number_of(cpu.get("id"), 0) for cpu in root.iterfind("host/topology/cells/cell/cpus/cpu")),
        numa_nodes=frozenset(number_of(cell.get("id"), 0) for cell in root.iterfind("host/topology/cells/cell")),
    )


def read_emulator(text: str) -> SeenEmulator:
    """`virConnectGetDomainCapabilities`."""
    root = read(text)
    return SeenEmulator(
        path=text_at(root, "path"),
        machine=text_at(root, "machine"),
        arch=text_at(root, "arch"),
        max_vcpus=int(text_at(root, "vcpu/@max") or 0),
        cpu_modes=frozenset(
            mode.get("name") or "" for mode in root.iterfind("cpu/mode") if mode.get("supported") == "yes"
        ),
        videos=_values(root, "devices/video", "modelType"),
        disk_buses=_values(root, "devices/disk", "bus"),
        firmwares=_values(root, "os", "firmware"),
        cpu_models=tuple(
            sorted(
                (model.text or "").strip() for model in root.iterfind("cpu/mode[@name='custom']/model[@usable='yes']")
            )
        ),
        tpm_backends=_values(root, "devices/tpm", "backendModel"),
        filesystem_drivers=_values(root, "devices/filesystem", "driverType"),
        screens=_values(root, "devices/graphics", "type"),
        has_secure_loader="yes" in _values(root, "os/loader", "secure"),
    )


def read_node_device(text: str) -> tuple[str, str, int]:
    """A PCI or USB device of the host: the key that options name it by, its words, and its PCI class (0 for USB)."""
    root = read(text)
    words = " ".join(filter(None, (text_at(root, f"capability/{tag}") for tag in ("vendor", "product"))))
    if text_at(root, "capability/@type") == "pci":
        numbers = [number_of(text_at(root, f"capability/{tag}"), 0) for tag in ("domain", "bus", "slot", "function")]
        key, kind = "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers), text_at(root, "capability/class")
    else:
        key, kind = ":".join(_hex(text_at(root, f"capability/{tag}/@id")) for tag in ("vendor", "product")), ""
    return key, words, int(kind, 16) if kind else 0


def _hex(text: str) -> str:
    return text.lower().removeprefix("0x").rjust(4, "0")


def _values(root: Element, path: str, enum: str) -> frozenset[str]:
    return frozenset(
        (value.text or "").strip() for value in root.iterfind(f"{path}/enum[@name='{enum}']/value") if value.text
    )
