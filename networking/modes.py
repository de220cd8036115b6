"""Modes of networks as people choose them: what each is for, and which fields it has."""

from __future__ import annotations

from dataclasses import dataclass

from providers.base import NetworkMode


@dataclass(frozen=True, slots=True)
class Mode:
    label: str
    summary: str
    icon: str
    has_range: bool = True
    """Whether the provider gives out addresses there."""
    goes_out: bool = False
    """Whether traffic leaves by a device of the host that may be chosen."""


MODES: dict[NetworkMode, Mode] = {
    NetworkMode.NAT: Mode(
        "NAT", "Machines reach the outside through the host; nobody outside reaches them.", "world", goes_out=True
    ),
    NetworkMode.ROUTE: Mode(
        "Routed", "Machines keep their addresses outside: your router must know the way back.", "route", goes_out=True
    ),
    NetworkMode.OPEN: Mode("Open", "Routed, and the host sets no firewall rules for it.", "lock-open"),
    NetworkMode.ISOLATED: Mode("Isolated", "Machines reach each other and the host, nothing else.", "shield-lock"),
    NetworkMode.BRIDGE: Mode(
        "Bridge", "Machines sit in the network of the host itself, and get addresses from there.", "network",
        has_range=False,
    ),
    NetworkMode.PROVIDER: Mode("Provider's own", "What this provider calls a network, with its own routing.", "cloud"),
}  # fmt: skip


def label_of(mode: str) -> str:
    return {known.value: words.label for known, words in MODES.items()}.get(mode, mode)


def with_range() -> str:
    """Modes that have an address range, divided by spaces."""
    return " ".join(mode.value for mode, words in MODES.items() if words.has_range)


def going_out() -> str:
    return " ".join(mode.value for mode, words in MODES.items() if words.goes_out)
