"""The little of RFB that the proxy must understand to open a protected screen.

Nothing here reads or writes a socket: bytes go in, bytes come out.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Literal

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from vms.console.closing import Code, Refused

NO_AUTHENTICATION, VNC_AUTHENTICATION = 1, 2
_NEWEST = b"RFB 003.008\n"
_VERSIONS = {b"RFB 003.003\n", b"RFB 003.007\n", _NEWEST}

Side = Literal["machine", "browser"]
#: "Give me so many bytes from this side."
Want = tuple[Side, int]


def answer_to(challenge: bytes, password: str) -> bytes:
    """The answer of VNC authentication: DES whose key has the bits of each byte in reverse, as the protocol has it."""
    key = password.encode("latin-1", "replace")[:8].ljust(8, b"\0")
    reversed_key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    # Three times the same key makes triple DES the single one, which libraries do not offer any more.
    encryptor = Cipher(TripleDES(reversed_key * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's choice
    return encryptor.update(challenge) + encryptor.finalize()


class Gate:
    """Opens the machine's screen with its password, and then the browser's side without one.

    So the password never leaves the portal. When `is_open`, both sides stand before ClientInit.
    """

    def __init__(self, password: str) -> None:
        self.to_machine, self.to_browser = bytearray(), bytearray()
        self.is_open = False
        self._password = password
        self._waiting: dict[Side, bytearray] = {"machine": bytearray(), "browser": bytearray()}
        self._steps = self._negotiate()
        self._want: Want = next(self._steps)

    def feed(self, side: Side, data: bytes | memoryview) -> None:
        """Bytes from one side; raises Refused when the screen does not open."""
        self._waiting[side] += data
        while not self.is_open:
            wanted_side, count = self._want
            buffer = self._waiting[wanted_side]
            if len(buffer) < count:
                return
            part = bytes(buffer[:count])
            del buffer[:count]
            try:
                self._want = self._steps.send(part)
            except StopIteration:
                self.is_open = True

    def rest(self, side: Side) -> bytes:
        """What came behind the negotiation."""
        rest = bytes(self._waiting[side])
        self._waiting[side].clear()
        return rest

    def _negotiate(self) -> Generator[Want, bytes, None]:
        version = yield ("machine", 12)
        if not version.startswith(b"RFB "):
            raise Refused(Code.PROVIDER, "The machine's screen does not speak RFB.")
        # Servers that name a version of their own are to be taken for the next one below.
        ours = version if version in _VERSIONS else (_NEWEST if version > _NEWEST else b"RFB 003.003\n")
        self.to_machine += ours
        if ours == b"RFB 003.003\n":
            (chosen,) = struct.unpack(">I", (yield ("machine", 4)))
        else:
            (count,) = yield ("machine", 1)
            offered = (yield ("machine", count)) if count else b""
            kinds = sorted((NO_AUTHENTICATION, VNC_AUTHENTICATION), reverse=bool(self._password))
            chosen = next((kind for kind in kinds if kind in offered), 0)
            if chosen:
                self.to_machine.append(chosen)
        if chosen == VNC_AUTHENTICATION and not self._password:
            yield from self._let_browser_answer((yield ("machine", 16)))
            return
        if chosen == VNC_AUTHENTICATION:
            self.to_machine += answer_to((yield ("machine", 16)), self._password)
        elif chosen != NO_AUTHENTICATION:
            raise Refused(Code.PROVIDER, "The machine's screen asks for a sign-in that the portal does not know.")
        if chosen == VNC_AUTHENTICATION or ours == _NEWEST:
            (result,) = struct.unpack(">I", (yield ("machine", 4)))
            if result:
                raise Refused(Code.PROVIDER, "The machine's screen refused the portal's password.")
        yield from self._welcome_browser()

    def _welcome_browser(self) -> Generator[Want, bytes, None]:
        if (yield from self._offer(NO_AUTHENTICATION)) == _NEWEST:
            self.to_browser += struct.pack(">I", 0)

    def _let_browser_answer(self, challenge: bytes) -> Generator[Want, bytes, None]:
        """A password that the portal does not know: the person types it."""
        yield from self._offer(VNC_AUTHENTICATION)
        self.to_browser += challenge
        self.to_machine += yield ("browser", 16)
        result = yield ("machine", 4)
        if any(result):
            raise Refused(Code.PROVIDER, "The machine's screen did not accept this password.")
        self.to_browser += result

    def _offer(self, kind: int) -> Generator[Want, bytes, bytes]:
        """Shake hands with the browser; the version that it speaks."""
        self.to_browser += _NEWEST
        version = yield ("browser", 12)
        if version == b"RFB 003.003\n":
            self.to_browser += struct.pack(">I", kind)
            return version
        self.to_browser += bytes([1, kind])
        (chosen,) = yield ("browser", 1)
        if chosen != kind:
            raise Refused(Code.PROTOCOL_ERROR)
        return version if version == b"RFB 003.007\n" else _NEWEST
