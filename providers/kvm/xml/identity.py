"""A VM's document turned into that of another VM: same machine, other name, uuid, cards and disks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from providers.kvm.xml import note
from providers.kvm.xml.build import Element, add, read, text_at, write
from providers.kvm.xml.elements import Note
from providers.kvm.xml.snapshots import put_sources


def of_copy(
    document: str,
    *,
    name: str,
    uuid: str,
    wanted_note: Note,
    macs: Mapping[str, str],
    disks: Mapping[str, str],
    raw_disks: Mapping[str, str],
    media: Mapping[str, str],
) -> str:
    """The document of a copy; everything that is not mentioned stays as it is.

    `macs` maps the cards' old addresses to new ones; `disks` (qcow2) and `raw_disks` the targets of disks to their
    files, `media` those of drives that get another medium.
    """
    root = read(document)
    _set_text(root, "name", name)
    _set_text(root, "uuid", uuid)
    note.put(root, wanted_note)
    for card in root.iterfind("devices/interface"):
        _renew_card(card, macs)
    put_sources(root, disks)
    put_sources(root, raw_disks, format_="raw")
    put_sources(root, media, format_="raw")
    _renew_marks(root)
    return write(root)


def of_moved(document: str, wanted_note: Note, files: Mapping[str, tuple[str, str]], ejected: Sequence[str]) -> str:
    """The document of the same VM on another host: drives by target with their path and format there, empty ones."""
    root = read(document)
    note.put(root, wanted_note)
    put_sources(root, {})
    for target, (path, format_) in files.items():
        put_sources(root, {target: path}, format_=format_)
    for disk in root.iterfind("devices/disk"):
        source = disk.find("source")
        if text_at(disk, "target/@dev") in ejected and source is not None:
            disk.remove(source)
    return write(root)


def _renew_card(card: Element, macs: Mapping[str, str]) -> None:
    mac = card.find("mac")
    if mac is not None:
        old = (mac.get("address") or "").lower()
        mac.set("address", macs.get(old, old))
    # The host's device of a card, and addresses that a filter allows, are the original's.
    for child in [*card.findall("target"), *card.findall("filterref/parameter")]:
        parent = child.getparent()
        if parent is not None and (child.tag == "target" or child.get("name") in {"IP", "MAC"}):
            parent.remove(child)


def _renew_marks(root: Element) -> None:
    """What may exist only once on a host, or is read by guests as who they are."""
    for genid in root.findall("genid"):
        # Left empty, libvirt chooses one.
        genid.text = None
    for entry in root.findall("sysinfo/system/entry"):
        parent = entry.getparent()
        if entry.get("name") in {"uuid", "serial"} and parent is not None:
            parent.remove(entry)
    os = root.find("os")
    if os is not None:
        for nvram in os.findall("nvram"):
            # libvirt names the file after the VM.
            nvram.text = None
            if not nvram.attrib:
                os.remove(nvram)
    for graphics in root.iterfind("devices/graphics"):
        if graphics.get("port") not in {None, "-1"}:
            graphics.attrib.pop("port")
            graphics.set("autoport", "yes")
    for cid in root.iterfind("devices/vsock/cid"):
        cid.attrib.pop("address", "")
        cid.set("auto", "yes")
    for channel in root.iterfind("devices/channel"):
        source = channel.find("source")
        if channel.get("type") == "unix" and source is not None and text_at(channel, "target/@type") == "virtio":
            # A socket of the original's; libvirt chooses one for a channel without.
            channel.remove(source)


def _set_text(root: Element, tag: str, text: str) -> None:
    found = root.find(tag)
    if found is None:
        found = add(root, tag)
    found.text = text
