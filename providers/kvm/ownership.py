"""Which volumes belong to a VM and go with it: the list in its note, changed while it runs or is stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from providers.kvm.native import libvirt
from providers.kvm.xml import note
from providers.kvm.xml.build import write
from providers.kvm.xml.domain_reader import read_machine
from providers.kvm.xml.elements import Note


def owned_by(domain: Any) -> tuple[str, ...]:
    """Keys of the volumes that were made for this VM."""
    return note_of(domain).volumes


def own(domain: Any, *keys: str) -> None:
    """From now on these volumes belong to the VM."""
    volumes = note_of(domain).volumes
    _write(domain, (*volumes, *(key for key in keys if key not in volumes)))


def disown(domain: Any, *keys: str) -> None:
    """From now on these volumes stand alone."""
    volumes = note_of(domain).volumes
    if set(volumes) & set(keys):
        _write(domain, tuple(key for key in volumes if key not in keys))


def note_of(domain: Any) -> Note:
    """What the portal wrote down in the VM's document."""
    # A VM without a definition has the running document only.
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE if domain.isPersistent() else 0
    return read_machine(domain.XMLDesc(flags)).note


def affected(domain: Any) -> int:
    """The flags that change each document that the VM has: of what runs now, and of its next start."""
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
    return int(live | (libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else 0))


def write_note(domain: Any, changed: Note) -> None:
    """Write that down in its place, for now and for the next start."""
    text = write(note.to_fragment(changed))
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, note.PREFIX, note.NAMESPACE, affected(domain))


def _write(domain: Any, volumes: tuple[str, ...]) -> None:
    write_note(domain, replace(note_of(domain), volumes=volumes))
