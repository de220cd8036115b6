"""Documents of snapshots (https://libvirt.org/formatsnapshot.html), and the VM's document as a snapshot keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from providers.kvm.xml.build import Element, add, node, read, text_at, write
from providers.kvm.xml.domain_reader import SeenDrive, SeenMachine, read_machine


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSnapshot:
    name: str
    description: str = ""
    created_at: datetime | None = None
    parent: str = ""
    state: str = ""
    """The VM's state then in libvirt's words, or "disk-snapshot"."""
    has_memory: bool = False
    is_external: bool = False
    drives: tuple[SeenDrive, ...] = ()
    """The disks that it keeps, with the files that held them at that moment."""

    @property
    def files(self) -> dict[str, str]:
        """Target → file."""
        return {drive.target: drive.source for drive in self.drives}


def snapshot_document(
    *, name: str, description: str = "", layers: Mapping[str, str] | None = None, left_out: tuple[str, ...] = ()
) -> str:
    """A snapshot to be made: inside the disks, or with a prepared layer for each target.

    `left_out` are targets of an external snapshot that need no layer, such as drives for CDs.
    """
    root = node("domainsnapshot")
    add(root, "name", name)
    if description:
        add(root, "description", description)
    if layers is None:
        return write(root)
    add(root, "memory", snapshot="no")
    disks = add(root, "disks")
    for target, path in layers.items():
        disk = add(disks, "disk", name=target, snapshot="external", type_="file")
        add(disk, "driver", type_="qcow2")
        add(disk, "source", file=path)
    for target in left_out:
        add(disks, "disk", name=target, snapshot="no")
    return write(root)


def read_snapshot(text: str) -> SeenSnapshot:
    """One snapshot's document, whoever made it."""
    root = read(text)
    modes = {disk.get("name") or "": disk.get("snapshot") or "" for disk in root.iterfind("disks/disk")}
    machine = machine_then(text)
    kept = [target for target, mode in modes.items() if mode in {"internal", "external"}]
    moment = text_at(root, "creationTime")
    return SeenSnapshot(
        name=root.findtext("name") or "",
        description=root.findtext("description") or "",
        created_at=datetime.fromtimestamp(float(moment), UTC) if moment else None,
        parent=root.findtext("parent/name") or "",
        state=text_at(root, "state"),
        has_memory=text_at(root, "memory/@snapshot") in {"internal", "external"},
        is_external="external" in modes.values() or text_at(root, "memory/@snapshot") == "external",
        drives=tuple(drive for drive in machine.drives if drive.target in kept) if machine else (),
    )


def machine_then(text: str) -> SeenMachine | None:
    """The VM as it was, read; None for a snapshot that keeps no document."""
    found = _domain(read(text))
    return None if found is None else read_machine(write(found))


def domain_then(text: str, sources: Mapping[str, str]) -> str:
    """The VM's document as it was, ready to be defined, with other qcow2 files for these targets."""
    found = _domain(read(text))
    if found is None:
        return ""
    found.tag = "domain"
    put_sources(found, sources)
    return write(found)


def with_files(text: str, moved: Mapping[str, str], format_: str) -> str:
    """The snapshot's document with paths replaced, wherever the VM's document names them; for redefining it."""
    root = read(text)
    for domain in (root.find("domain"), root.find("inactiveDomain")):
        if domain is None:
            continue
        for disk in domain.iterfind("devices/disk"):
            source = disk.find("source")
            if source is not None and source.get("file") in moved:
                _set_file(disk, moved[source.get("file") or ""], format_)
    return write(root)


def without_layers(text: str) -> str:
    """The snapshot's document naming no layer, for redefining it before its name is forgotten.

    libvirt believes that a snapshot's files are merged when it forgets the name, and makes other snapshots that lead to
    its layer lead below it (`qemuSnapshotUpdateDisks` of libvirt 9.0); with no such layer it changes nothing.
    """
    root = read(text)
    for number, disk in enumerate(root.iterfind("disks/disk[@snapshot='external']")):
        source = disk.find("source")
        if source is not None:
            source.attrib.clear()
            source.set("file", f"/nonexistent/{number}")
    return write(root)


def format_below(text: str, path: str) -> str:
    """The format of a file below a running VM's disks, as its document says; empty when it is not there."""
    for below in read(text).iterfind("devices/disk//backingStore"):
        if path in {text_at(below, "source/@file"), text_at(below, "source/@dev")}:
            return text_at(below, "format/@type")
    return ""


def put_sources(domain: Element, sources: Mapping[str, str], format_: str = "qcow2") -> None:
    """Give drives of a VM's document other files, by target.

    What libvirt noted of the chains below goes from every drive: it would be believed, and chains change.
    """
    for disk in domain.iterfind("devices/disk"):
        for below in disk.findall("backingStore"):
            disk.remove(below)
        target = text_at(disk, "target/@dev")
        if target in sources:
            _set_file(disk, sources[target], format_)


def _set_file(disk: Element, path: str, format_: str) -> None:
    for below in disk.findall("backingStore"):
        disk.remove(below)
    is_device = path.startswith("/dev/")
    disk.set("type", "block" if is_device else "file")
    driver = disk.find("driver")
    if driver is None:
        driver = add(disk, "driver", name="qemu")
    driver.set("type", format_)
    source = disk.find("source")
    if source is None:
        source = add(disk, "source")
    kept = [child for child in source if child.tag in {"seclabel", "encryption", "reservations", "privateData"}]
    source.attrib.clear()
    source[:] = kept
    source.set("dev" if is_device else "file", path)


def _domain(root: Element) -> Element | None:
    """The configuration that a stopped VM would have: a running one's snapshot keeps both."""
    inactive = root.find("inactiveDomain")
    return inactive if inactive is not None else root.find("domain")
