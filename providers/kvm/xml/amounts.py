"""Numbers and amounts of memory as libvirt's documents write them."""

from __future__ import annotations

from providers.kvm.xml.build import Element

_KIB = {"b": 1 / 1024, "bytes": 1 / 1024, "k": 1, "kib": 1, "kb": 1000 / 1024, "m": 1024, "mib": 1024}
_KIB |= {"mb": 1000**2 / 1024, "g": 1024**2, "gib": 1024**2, "gb": 1000**3 / 1024, "t": 1024**3, "tib": 1024**3}


def number_of(text: str | None, otherwise: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return otherwise


def kib_of(text: str | None, unit: str | None) -> int:
    """KiB; without a unit libvirt means KiB."""
    return int(number_of((text or "").strip(), 0) * _KIB.get((unit or "KiB").lower(), 1))


def mib_of(text: str | None, unit: str | None) -> int:
    return kib_of(text, unit) // 1024


def mib_in(element: Element | None) -> int:
    """MiB that an element like <memory unit="KiB"> says; 0 when it is not there."""
    return 0 if element is None else mib_of(element.text, element.get("unit"))
