"""An image is what its first bytes say."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.guest.cloudinit import SeedTexts
from providers.guest.seed import seed_iso
from providers.transfer.headers import HEAD_BYTES, Header, inspect


def qcow2(*, version: int = 3, size: int = 1 << 30, backing: bytes = b"", flags: int = 0, encryption: int = 0) -> bytes:
    at = 512 if backing else 0
    head = struct.pack(">4sIQIIQI", b"QFI\xfb", version, at, len(backing), 16, size, encryption)
    head = head.ljust(72, b"\0") + struct.pack(">Q", flags)
    return head.ljust(512, b"\0") + backing


@pytest.mark.parametrize(
    ("head", "header"),
    [
        (qcow2(), Header(format="qcow2", virtual_bytes=1 << 30)),
        (qcow2(version=2), Header(format="qcow2", virtual_bytes=1 << 30)),
        (qcow2(backing=b"/etc/shadow"), Header(format="qcow2", virtual_bytes=1 << 30, backing="/etc/shadow")),
        (qcow2(flags=4), Header(format="qcow2", virtual_bytes=1 << 30, has_data_file=True)),
        (qcow2(encryption=2), Header(format="qcow2", virtual_bytes=1 << 30, is_encrypted=True)),
        (b"", Header(format="raw")),
        (b"\x1f\x8b\x08", Header(format="gzip")),
        (b"\xfd7zXZ\x00", Header(format="xz")),
        (b"KDMV\1", Header(format="vmdk")),
        (bytes(257) + b"ustar\x0000", Header(format="ova")),
        (b"QFI\xfb", Header(format="raw")),
    ],
)
def test_what_a_head_tells(head: bytes, header: Header) -> None:
    assert inspect(head) == header


def test_an_iso_is_known_by_its_volume_descriptor() -> None:
    image = seed_iso(SeedTexts(user_data="x", meta_data="y"))
    assert inspect(image[:HEAD_BYTES]).format == "iso"


@given(st.binary(max_size=600).map(lambda tail: b"QFI\xfb" + tail))
def test_no_header_can_break_the_reader(head: bytes) -> None:
    inspect(head)


def test_a_name_beyond_what_was_read_still_counts(tmp_path: Path) -> None:
    del tmp_path
    head = struct.pack(">4sIQIIQI", b"QFI\xfb", 3, 1 << 20, 11, 16, 1 << 30, 0).ljust(104, b"\0")
    assert inspect(head).backing == "?"
