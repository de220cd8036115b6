"""As much of a SPICE viewer as it takes to be let in and sent away: link messages, the ticket, and then silence.

https://www.spice-space.org/spice-protocol.html and spice/protocol.h of spice-protocol.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

OK, PERMISSION_DENIED = 0, 7
MAIN = 1
_MAGIC = b"REDQ"
_KEY_BYTES = 162


class SpiceViewer:
    """One channel to a screen, the main one. `answer` is the server's: OK, PERMISSION_DENIED, or another number."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self._sock = socket.create_connection((host, port), timeout=10)
        try:
            self.answer = self._link(password)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._sock.close()

    def is_connected(self) -> bool:
        """Reads away what the server said meanwhile, which may be much."""
        self._sock.settimeout(0.05)
        # A server that does not stop to talk has us still.
        for _ in range(64):
            try:
                if not self._sock.recv(65536):
                    return False
            except TimeoutError:
                return True
            except OSError:
                return False
        return True

    def _link(self, password: str) -> int:
        message = struct.pack("<IBBIII", 0, MAIN, 0, 0, 0, 18)
        self._sock.sendall(_MAGIC + struct.pack("<III", 2, 2, len(message)) + message)
        magic, size = self._exactly(4), struct.unpack("<III", self._exactly(12))[2]
        if magic != _MAGIC:
            raise ConnectionError("This is no SPICE server.")
        reply = self._exactly(size)
        error = int(struct.unpack_from("<I", reply)[0])
        if error:
            return error
        key = load_der_public_key(reply[4 : 4 + _KEY_BYTES])
        if not isinstance(key, RSAPublicKey):
            raise ConnectionError("The server's key is none of RSA.")
        # SHA-1 is what the protocol says.
        scheme = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
        self._sock.sendall(key.encrypt(password.encode() + b"\0", scheme))
        return int(struct.unpack("<I", self._exactly(4))[0])

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            got = self._sock.recv(count - len(data))
            if not got:
                raise ConnectionError("The server closed.")
            data += got
        return data


def knock(host: str, port: int, password: str) -> int:
    """The server's answer to this password; the viewer leaves at once."""
    viewer = SpiceViewer(host, port, password)
    with suppress(OSError):
        viewer.close()
    return viewer.answer
