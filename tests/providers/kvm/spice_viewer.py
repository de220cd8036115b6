"""As much of a SPICE viewer as it takes to knock: link messages and the ticket (spice-protocol, spice/protocol.h)."""

from __future__ import annotations

import socket
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

OK, PERMISSION_DENIED = 0, 7
_MAGIC, _MAIN = b"REDQ", 1
_KEY_BYTES = 162


def knock(host: str, port: int, password: str) -> int:
    """The server's answer to this password: OK, PERMISSION_DENIED, or another of its numbers."""
    with socket.create_connection((host, port), timeout=10) as sock:
        message = struct.pack("<IBBIII", 0, _MAIN, 0, 0, 0, 18)
        sock.sendall(_MAGIC + struct.pack("<III", 2, 2, len(message)) + message)
        magic, size = _exactly(sock, 4), struct.unpack("<III", _exactly(sock, 12))[2]
        assert magic == _MAGIC
        reply = _exactly(sock, size)
        error = int(struct.unpack_from("<I", reply)[0])
        if error:
            return error
        key = load_der_public_key(reply[4 : 4 + _KEY_BYTES])
        assert isinstance(key, RSAPublicKey)
        # SHA-1 is what the protocol says.
        scheme = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
        sock.sendall(key.encrypt(password.encode() + b"\0", scheme))
        return int(struct.unpack("<I", _exactly(sock, 4))[0])


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        got = sock.recv(count - len(data))
        assert got, "The server closed."
        data += got
    return data
