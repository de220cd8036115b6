"""The portal's own element in a VM's metadata: one child of <metadata> under a namespace of its own."""

from __future__ import annotations

from lxml import etree

from providers.kvm.xml.build import Element, add
from providers.kvm.xml.elements import Note

#: Both are stored with every VM and never change: a new shape gets a new number.
NAMESPACE = "urn:kvweb:vm:1"
PREFIX = "kvweb"
_ROOT = f"{{{NAMESPACE}}}vm"


def to_element(note: Note) -> Element:
    root = etree.Element(_ROOT, nsmap={PREFIX: NAMESPACE})
    for tag, text in (("portal-uuid", note.portal_uuid), ("created-at", note.created_at), ("image", note.image)):
        if text:
            add(root, _name(tag), text)
    for key in note.volumes:
        add(root, _name("volume"), key)
    for tag in note.tags:
        add(root, _name("tag"), tag)
    for key, value in note.values:
        add(root, _name("value"), value, key=key)
    if note.fresh_firmware:
        add(root, _name("fresh-firmware"))
    return root


def to_fragment(note: Note) -> Element:
    """The same for `virDomainSetMetadata`, which puts the root into the namespace itself and stumbles over one that is
    in it already."""
    root = etree.Element("vm")
    root.extend(to_element(note))
    etree.cleanup_namespaces(root, top_nsmap={"n": NAMESPACE})
    return root


def put(domain: Element, note: Note) -> None:
    """Write the note into a VM's document, in the place of the one that is there."""
    metadata = domain.find("metadata")
    if metadata is None:
        metadata = add(domain, "metadata")
    for old in metadata.findall(_ROOT):
        metadata.remove(old)
    metadata.append(to_element(note))


def from_document(domain: Element) -> Note:
    """The note of a domain's document; an empty one for a VM that was made elsewhere."""
    found = domain.find(f"metadata/{_ROOT}")
    return Note() if found is None else from_element(found)


def from_element(root: Element) -> Note:
    """Read what is known and pass over the rest, which a later version may have written."""
    return Note(
        portal_uuid=_text(root, "portal-uuid"),
        created_at=_text(root, "created-at"),
        image=_text(root, "image"),
        volumes=tuple(child.text or "" for child in root.iterfind(_name("volume"))),
        tags=tuple(child.text or "" for child in root.iterfind(_name("tag"))),
        fresh_firmware=root.find(_name("fresh-firmware")) is not None,
        values=tuple(sorted((child.get("key") or "", child.text or "") for child in root.iterfind(_name("value")))),
    )


def _name(tag: str) -> str:
    return f"{{{NAMESPACE}}}{tag}"


def _text(root: Element, tag: str) -> str:
    return (root.findtext(_name(tag)) or "").strip()
