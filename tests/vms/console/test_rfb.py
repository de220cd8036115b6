"""The gate that opens protected screens, and the filter that lets a viewer only look."""

from __future__ import annotations

import struct

import pytest

from vms.console.closing import Refused
from vms.console.rfb import Gate, answer_to
from vms.console.rfb_input import Input

ENCODINGS = struct.pack(">BBH3i", 2, 0, 3, 0, -316, -239)
WITHOUT_BUTTONS = struct.pack(">BBH2i", 2, 0, 2, 0, -239)
UPDATE = struct.pack(">BBHHHH", 3, 1, 0, 0, 640, 480)
PIXELS = bytes([0]) + bytes(19)
FENCE = struct.pack(">BxxxIB", 248, 1, 3) + b"abc"
CONTINUOUS = struct.pack(">BBHHHH", 150, 1, 0, 0, 640, 480)
LOOKING = [PIXELS, UPDATE, FENCE, CONTINUOUS]

KEY = struct.pack(">BBHI", 4, 1, 0, 0x41)
POINTER = struct.pack(">BBHH", 5, 0xFF, 10, 10)
CLIPBOARD = struct.pack(">BxxxI", 6, 5) + b"paste"
EXTENDED_CLIPBOARD = struct.pack(">Bxxxi", 6, -6) + b"\x10\0\0\0ab"
QEMU_KEY = struct.pack(">BBHII", 255, 0, 1, 0x41, 30)
QEMU_AUDIO = struct.pack(">BBH", 255, 1, 0)
RESIZE = struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16)
REBOOT = struct.pack(">BxBB", 250, 1, 3)
ACTING = [KEY, POINTER, CLIPBOARD, EXTENDED_CLIPBOARD, QEMU_KEY, QEMU_AUDIO, RESIZE, REBOOT]


def test_the_answer_of_vnc_authentication() -> None:
    # Known from servers of the field: password "password", this challenge.
    assert answer_to(bytes(16), "password") == answer_to(bytes(16), "password-and-more")
    assert answer_to(bytes(16), "password") != answer_to(bytes(16), "Password")
    assert len(answer_to(bytes(range(16)), "")) == 16


def test_the_gate_answers_for_the_browser() -> None:
    gate, challenge = Gate("secret"), bytes(range(16))
    gate.feed("machine", b"RFB 003.008\n\x01\x02" + challenge)
    assert bytes(gate.to_machine) == b"RFB 003.008\n\x02" + answer_to(challenge, "secret")
    gate.to_machine.clear()
    assert not gate.to_browser
    gate.feed("machine", b"\0\0\0\0")
    assert bytes(gate.to_browser) == b"RFB 003.008\n\x01\x01"[:12]
    gate.feed("browser", b"RFB 003.008\n\x01")
    assert bytes(gate.to_browser) == b"RFB 003.008\n\x01\x01\0\0\0\0"
    assert gate.is_open
    assert not gate.to_machine


@pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.889\n", b"RFB 004.001\n"])
def test_the_gate_knows_older_and_odd_servers(version: bytes) -> None:
    gate = Gate("secret")
    gate.feed("machine", version)
    if version == b"RFB 003.003\n":
        gate.feed("machine", struct.pack(">I", 2))
    else:
        gate.feed("machine", b"\x01\x02")
    gate.feed("machine", bytes(16) + bytes(4))
    gate.feed("browser", b"RFB 003.003\n")
    assert gate.is_open
    gate.feed("browser", b"\x01more")
    assert gate.rest("browser") == b"\x01more"


def test_a_screen_without_password_opens_too() -> None:
    gate = Gate("")
    gate.feed("machine", b"RFB 003.008\n\x02\x01\x02\0\0\0\0")
    gate.feed("browser", b"RFB 003.008\n\x01")
    assert gate.is_open
    assert bytes(gate.to_machine) == b"RFB 003.008\n\x01"


@pytest.mark.parametrize(
    "talk",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"RFB 003.008\n\x01\x13",
        b"RFB 003.008\n\0\0\0\0\x04fail",
        b"RFB 003.008\n\x01\x02" + bytes(16) + b"\0\0\0\x01",
    ],
)
def test_a_screen_that_does_not_open_is_said(talk: bytes) -> None:
    with pytest.raises(Refused):
        Gate("wrong").feed("machine", talk)


def test_a_viewer_may_look() -> None:
    sent = b"\0" + b"".join(LOOKING) + ENCODINGS
    assert Input(drives=False).feed(sent) == b"\x01" + b"".join(LOOKING) + WITHOUT_BUTTONS


@pytest.mark.parametrize("message", ACTING)
def test_a_viewer_may_not_act(message: bytes) -> None:
    view = Input(drives=False)
    assert view.feed(b"\x01" + UPDATE + message + message + UPDATE) == b"\x01" + UPDATE + UPDATE


def test_cutting_messages_into_pieces_smuggles_nothing() -> None:
    stream = b"\x01" + b"".join(message + UPDATE for message in ACTING) + ENCODINGS
    view = Input(drives=False)
    passed = b"".join(view.feed(stream[place : place + 1]) for place in range(len(stream)))
    assert passed == b"\x01" + UPDATE * len(ACTING) + WITHOUT_BUTTONS


def test_a_huge_clipboard_is_dropped_without_being_kept() -> None:
    view = Input(drives=False)
    view.feed(b"\x01" + struct.pack(">BxxxI", 6, 1 << 30))
    for _ in range(64):
        assert view.feed(bytes(65536)) == b""
    assert len(view._buffer) == 0


@pytest.mark.parametrize("message", [b"\x09\0\0\0", bytes([249, 0, 0, 0]), bytes([253, 0, 0, 0]), b"\xff\x07\0\0"])
def test_a_message_nobody_knows_ends_the_console(message: bytes) -> None:
    with pytest.raises(Refused):
        Input(drives=False).feed(b"\x01" + message)
