"""Reading what a host and its emulators can do (formatcaps.html, formatdomaincaps.html at libvirt.org)."""

from __future__ import annotations

from dataclasses import dataclass

from providers.kvm.xml.build import Element, read, text_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHost:
    arch: str
    cpu_features: frozenset[str]
    cpu_vendor: str
    guests: frozenset[tuple[str, str]]
    """Pairs of architecture and virtualisation type that the host offers for full virtualisation."""


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
    )


def _values(root: Element, path: str, enum: str) -> frozenset[str]:
    return frozenset(
        (value.text or "").strip() for value in root.iterfind(f"{path}/enum[@name='{enum}']/value") if value.text
    )
