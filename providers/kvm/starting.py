"""Switching a VM on, with firmware variables begun anew where its firmware was changed since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from providers.kvm.native import libvirt
from providers.kvm.ownership import write_note
from providers.kvm.xml.domain_reader import read_machine


def start(domain: Any) -> None:
    """Start a VM that is off; raises libvirt's errors.

    The file of a firmware's variables is named after the VM. Left in place it would belong to the firmware before, and
    Secure Boot would be on without a key in it, which is off.
    """
    known = read_machine(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).note
    if not known.fresh_firmware:
        domain.create()
        return
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_RESET_NVRAM)
    write_note(domain, replace(known, fresh_firmware=False))
