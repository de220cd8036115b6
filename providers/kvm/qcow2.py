"""What only the tables of a qcow2 file tell: whether anything was written, and how much memory its snapshots keep.

Layout: https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.rst. Read through libvirt's streams, so
the file may be on another host, and without a lock: a file that QEMU has open may change meanwhile.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.kvm import storage
from providers.kvm.native import LibvirtError

_MAGIC = b"QFI\xfb"
_HEADER_BYTES = 104

#: Tables larger than this are not looked at: a first table of 1 MiB stands for a disk of 64 TiB.
_TABLE_MOST_BYTES = 1024 * 1024
_ENTRY = struct.Struct(">QIHHIIQII")


@dataclass(frozen=True, slots=True)
class _Header:
    l1_entries: int
    l1_at: int
    snapshots: int
    snapshots_at: int


def is_untouched(raw: Any, volume: Any) -> bool:
    """Whether nothing was ever written to this layer; False when that cannot be told."""
    header = _header(raw, volume)
    if header is None or header.snapshots or header.l1_entries * 8 > _TABLE_MOST_BYTES:
        return False
    table = storage.piece(raw, volume, header.l1_at, header.l1_entries * 8)
    return len(table) == header.l1_entries * 8 and not any(table)


def memory_of_snapshots(raw: Any, volume: Any) -> Mapping[str, int]:
    """Name → bytes of memory that each snapshot inside the file keeps."""
    header = _header(raw, volume)
    if header is None or not header.snapshots:
        return {}
    table = storage.piece(raw, volume, header.snapshots_at, min(header.snapshots * 1024, _TABLE_MOST_BYTES))
    found: dict[str, int] = {}
    at = 0
    for _ in range(header.snapshots):
        if at + _ENTRY.size > len(table):
            break
        _, _, id_length, name_length, _, _, _, state_bytes, extra = _ENTRY.unpack_from(table, at)
        at += _ENTRY.size
        if extra >= 8:
            # The same number with room for more than 4 GiB.
            state_bytes = max(state_bytes, struct.unpack_from(">Q", table.ljust(at + 8, b"\0"), at)[0])
        at += extra + id_length
        found[table[at : at + name_length].decode(errors="replace")] = state_bytes
        at = -(-(at + name_length) // 8) * 8
    return found


def _header(raw: Any, volume: Any) -> _Header | None:
    try:
        head = storage.piece(raw, volume, 0, _HEADER_BYTES)
    except LibvirtError:
        return None
    if len(head) < _HEADER_BYTES or not head.startswith(_MAGIC):
        return None
    l1_entries, l1_at = struct.unpack_from(">IQ", head, 36)
    snapshots, snapshots_at = struct.unpack_from(">IQ", head, 60)
    return _Header(l1_entries, l1_at, snapshots, snapshots_at)
