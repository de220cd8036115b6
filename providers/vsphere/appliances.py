"""What comes in with disks: an appliance (OVA), or a single disk (VMDK) around which a descriptor is written.

An OVA is a tar archive whose first file is the descriptor (https://www.dmtf.org/standards/ovf, DSP0243, 5.1). It is
read once, from its beginning, so that no disk lies on the portal's machine. Header of a VMDK: "Virtual Disk Format
5.0", VMware, "Hosted Sparse Extent Header".
"""

from __future__ import annotations

import hashlib
import re
import struct
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from lxml import etree

from providers.base import InvalidRequest, Progress
from providers.transfer.source import Source

_PIECE = 1024 * 1024
#: Descriptors and manifests are some kilobytes; more is an attack or a mistake.
_MOST_TEXT = 4 * 1024 * 1024
_SECTOR = 512
#: Compressed grains, each behind a marker: the one form that hosts take as it comes.
_STREAMED = 0x30000
_DEFLATE = 1
_MANIFEST_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s*\((.+)\)\s*=\s*([0-9a-fA-F]+)\s*", re.ASCII)

_OVF = "http://schemas.dmtf.org/ovf/envelope/1"
_RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
_VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
_STREAM_FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
#: Resource types of CIM (DSP1033): processor, memory, SCSI controller, disk.
_CPU, _MEMORY, _SCSI, _DISK = 3, 4, 6, 17


@dataclass(frozen=True, slots=True)
class Disk:
    """A file to be sent; its pieces are there once, in the order of the files."""

    name: str
    length: int
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Appliance:
    descriptor: str
    disks: Iterator[Disk]
    """After the last one everything has been checked."""


def read(source: Source, progress: Progress) -> Appliance:
    """Begin to read what was opened; raises InvalidRequest for what cannot be sent on as it comes."""
    if source.header.format == "ova":
        return _archive(source.pieces(progress))
    if source.length is None:
        raise InvalidRequest("Unpack the disk first: its length must be known before it is sent.", field="url")
    disk = Disk("disk.vmdk", source.length, source.pieces(progress))
    capacity = _capacity(source.head)
    return Appliance(_descriptor(disk, capacity), iter([disk]))


def _capacity(head: bytes) -> int:
    """Bytes that a guest sees; raises InvalidRequest for another sort of VMDK than the one that can be streamed."""
    if head.startswith(b"KDMV") and len(head) >= 79:
        flags, sectors = struct.unpack_from("<IQ", head, 8)
        (compression,) = struct.unpack_from("<H", head, 77)
        if flags & _STREAMED == _STREAMED and compression == _DEFLATE and sectors:
            return int(sectors) * _SECTOR
    raise InvalidRequest(
        "Only stream-optimized VMDK files can be brought in; “qemu-img convert -O vmdk -o subformat=streamOptimized” "
        "makes one.",
        field="url",
    )


# -- archives ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Pieces as a file that is read from its beginning to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, most: int) -> bytes:
        while len(self._left) < most and (piece := next(self._pieces, b"")):
            self._left += piece
        found, self._left = self._left[:most], self._left[most:]
        return found


def _archive(pieces: Iterator[bytes]) -> Appliance:
    members = _members(pieces)
    first = next(members, None)
    if not isinstance(first, str):
        raise InvalidRequest(
            "The first file of an appliance is its descriptor (.ovf); this archive has none.", field="url"
        )
    return Appliance(first, (each for each in members if isinstance(each, Disk)))


def _members(pieces: Iterator[bytes]) -> Iterator[Disk | str]:
    """The descriptor's text, then the disks. What the manifest says of them is checked when both were there."""
    said: dict[str, tuple[str, str]] = {}
    found: dict[str, dict[str, Any]] = {}
    try:
        with closing(tarfile.open(fileobj=_Reader(pieces), mode="r|")) as archive:  # type: ignore[call-overload]
            for number, member in enumerate(archive):
                file = archive.extractfile(member) if member.isfile() else None
                if file is None or "/" in member.name:
                    raise InvalidRequest("This archive is no appliance.", f"it holds {member.name!r}", field="url")
                hashes = {name: hashlib.new(name) for name in ("sha1", "sha256", "sha512")}
                found[member.name] = hashes
                if number == 0 or member.name.endswith((".mf", ".cert")):
                    if member.size > _MOST_TEXT:
                        raise InvalidRequest("The descriptor of this appliance is too large.", field="url")
                    text = file.read()
                    for each in hashes.values():
                        each.update(text)
                    if number == 0 and member.name.endswith(".ovf"):
                        yield text.decode(errors="replace")
                    elif member.name.endswith(".mf"):
                        said = _manifest(text.decode(errors="replace"))
                    continue
                yield Disk(member.name, member.size, _hashed(file, hashes))
    except (tarfile.TarError, EOFError) as exc:
        raise _damaged(exc) from exc
    for name, (algorithm, digest) in said.items():
        if name in found and found[name][algorithm].hexdigest() != digest:
            raise InvalidRequest(f"“{name}” is not what the appliance's manifest says; it is damaged.", field="url")
    # The rest is padding; reading it to the end is what checks the whole file.
    for _ in pieces:
        pass


def _manifest(text: str) -> dict[str, tuple[str, str]]:
    lines = (_MANIFEST_LINE.fullmatch(line) for line in text.splitlines())
    return {found[2]: (found[1].lower(), found[3].lower()) for found in lines if found}


def _hashed(file: Any, hashes: dict[str, Any]) -> Iterator[bytes]:
    while piece := _next(file):
        for each in hashes.values():
            each.update(piece)
        yield piece


def _next(file: Any) -> bytes:
    try:
        piece: bytes = file.read(_PIECE)
    except (tarfile.TarError, EOFError) as exc:
        raise _damaged(exc) from exc
    return piece


def _damaged(exc: Exception) -> InvalidRequest:
    return InvalidRequest("The archive is damaged.", f"{type(exc).__name__}: {exc}", field="url")


# -- a descriptor of our own -------------------------------------------------------------------------------------------


def _descriptor(disk: Disk, capacity: int) -> str:
    """A VM of one processor with this disk: a template's size is that of the VMs made from it, which is chosen then."""
    root = etree.Element(_ovf("Envelope"), nsmap={"ovf": _OVF, "rasd": _RASD, "vssd": _VSSD})
    file = {_ovf("href"): disk.name, _ovf("id"): "file1", _ovf("size"): str(disk.length)}
    etree.SubElement(etree.SubElement(root, _ovf("References")), _ovf("File"), file)
    section = etree.SubElement(root, _ovf("DiskSection"))
    etree.SubElement(section, _ovf("Info")).text = "Disks"
    told = {"diskId": "disk1", "fileRef": "file1", "capacity": str(capacity), "format": _STREAM_FORMAT}
    told["capacityAllocationUnits"] = "byte"
    etree.SubElement(section, _ovf("Disk"), {_ovf(name): value for name, value in told.items()})
    system = etree.SubElement(root, _ovf("VirtualSystem"), {_ovf("id"): "vm"})
    etree.SubElement(system, _ovf("Info")).text = "A VM"
    running = etree.SubElement(system, _ovf("OperatingSystemSection"), {_ovf("id"): "101"})
    etree.SubElement(running, _ovf("Info")).text = "Linux, 64 bit"
    hardware = etree.SubElement(system, _ovf("VirtualHardwareSection"))
    etree.SubElement(hardware, _ovf("Info")).text = "Hardware"
    machine = etree.SubElement(hardware, _ovf("System"))
    for name, value in (("ElementName", "Hardware"), ("InstanceID", "0"), ("VirtualSystemType", "vmx-13")):
        etree.SubElement(machine, f"{{{_VSSD}}}{name}").text = value
    _item(hardware, ElementName="CPU", InstanceID=1, ResourceType=_CPU, VirtualQuantity=1)
    _item(
        hardware,
        AllocationUnits="byte * 2^20",
        ElementName="Memory",
        InstanceID=2,
        ResourceType=_MEMORY,
        VirtualQuantity=1024,
    )
    _item(hardware, Address=0, ElementName="SCSI", InstanceID=3, ResourceSubType="VirtualSCSI", ResourceType=_SCSI)
    _item(
        hardware,
        AddressOnParent=0,
        ElementName="Disk",
        HostResource="ovf:/disk/disk1",
        InstanceID=4,
        Parent=3,
        ResourceType=_DISK,
    )
    return etree.tostring(root, encoding="unicode")


def _item(hardware: Any, **values: Any) -> None:
    """Values in the order of their names, as the schema wants them."""
    item = etree.SubElement(hardware, _ovf("Item"))
    for name, value in values.items():
        etree.SubElement(item, f"{{{_RASD}}}{name}").text = str(value)


def _ovf(name: str) -> str:
    return f"{{{_OVF}}}{name}"
