"""What a disk image is, by its first bytes, and never by its name.

qcow2: https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.rst; ISO 9660: ECMA-119, 8.4; others by
their published magic numbers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: Enough for every field that is looked at: an ISO names itself in its sector 16.
HEAD_BYTES = 36 * 1024

_QCOW = b"QFI\xfb"
_ISO_AT = 16 * 2048
#: POSIX.1-1988, "ustar": an appliance (OVA) is such an archive.
_TAR_AT = 257
_DATA_FILE_BIT = 1 << 2

_OTHERS = {
    b"KDMV": "vmdk",
    b"# Disk DescriptorFile": "vmdk",
    b"vhdxfile": "vhdx",
    b"conectix": "vpc",
    b"<<< Oracle VM VirtualBox": "vdi",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"%PDF-": "pdf",
    b"\x89PNG\r\n": "picture",
    b"\xff\xd8\xff": "picture",
    b"GIF8": "picture",
    b"\x7fELF": "program",
    b"!<arch>\n": "package",
    b"\xed\xab\xee\xdb": "package",
}
#: A disk begins with a boot sector, a partition table or nothing; none of them reads as text.
_SECTOR = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    format: str
    """ "qcow2", "iso", "raw", or a word for what is neither."""
    virtual_bytes: int | None = None
    """The size that a guest sees; None where it is the file's own size."""
    backing: str = ""
    has_data_file: bool = False
    is_encrypted: bool = False


def inspect(head: bytes) -> Header:
    """Read a header; what nothing is known about is raw, which every disk may be."""
    if head.startswith(_QCOW) and len(head) >= 72:
        return _qcow2(head)
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            return Header(format=name)
    if head[_ISO_AT + 1 : _ISO_AT + 6] == b"CD001":
        return Header(format="iso")
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return Header(format="ova")
    if _reads_as_text(head[:_SECTOR]):
        return Header(format="text")
    return Header(format="raw")


def _reads_as_text(sector: bytes) -> bool:
    try:
        # A character that is cut in two at the end takes four bytes at most.
        text = sector.decode() if len(sector) < _SECTOR else sector.decode(errors="ignore")
    except UnicodeDecodeError:
        return False
    if len(text.encode()) < len(sector) - 3:
        return False
    return bool(text) and all(character.isprintable() or character in "\t\n\r\f\ufeff" for character in text)


def _qcow2(head: bytes) -> Header:
    version, backing_at, backing_length = struct.unpack_from(">IQI", head, 4)
    size, encryption = struct.unpack_from(">QI", head, 24)
    if version < 2:
        return Header(format="qcow")
    flags = struct.unpack_from(">Q", head, 72)[0] if version >= 3 and len(head) >= 80 else 0
    name = head[backing_at : backing_at + backing_length] if backing_at else b""
    return Header(
        format="qcow2",
        virtual_bytes=size,
        # The name lies in the first cluster, which can be longer than what was read: then it is there, but unknown.
        backing=name.decode(errors="replace") or ("?" if backing_at else ""),
        has_data_file=bool(flags & _DATA_FILE_BIT),
        is_encrypted=encryption != 0,
    )
