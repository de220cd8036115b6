"""A VM's options in its document, all together: read them, change some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.kvm.xml.booting import read_booting, write_booting
from providers.kvm.xml.build import Element
from providers.kvm.xml.extras import read_extras, write_extras
from providers.kvm.xml.memory import fit_cell, memory_of, read_memory, write_amount, write_memory, write_slots
from providers.kvm.xml.processor import read_processor, vcpus_of, write_processor, write_vcpus
from providers.kvm.xml.screens import read_screens, write_screens


def read_shape(root: Element) -> dict[str, Any]:
    """The options that the document tells; those that it leaves at their default may be missing."""
    return read_processor(root) | read_memory(root) | read_booting(root) | read_extras(root) | read_screens(root)


def write_shape(root: Element, wanted: Mapping[str, Any], *, listen: str = "none", spice_listen: str = "") -> None:
    """Change the options that are named, and nothing else of the document."""
    if "max_vcpus" in wanted:
        now, _ = vcpus_of(root)
        write_vcpus(root, now, max(now, wanted["max_vcpus"]))
    if "max_memory_mib" in wanted:
        now, _ = memory_of(root)
        write_amount(root, now, max(now, wanted["max_memory_mib"]))
    write_processor(root, wanted)
    if "memory_slots" in wanted:
        write_slots(root, wanted["memory_slots"])
    elif "numa" in wanted:
        fit_cell(root)
    write_memory(root, wanted)
    write_booting(root, wanted)
    write_extras(root, wanted, listen=listen)
    write_screens(root, wanted, listen=listen, spice_listen=spice_listen)
