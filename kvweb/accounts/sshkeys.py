"""Reading a public SSH key that somebody pasted: what it is, its fingerprint, or a sentence that says what is wrong."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

#: What current OpenSSH servers accept; DSA is left out because they no longer do.
TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
MIN_RSA_BITS = 2048
MAX_LENGTH = 16_384
PRIVATE = (
    "This is a private key. Whoever has seen it can act as you, so do not use it any more. "
    "What belongs here is the one line of the file that ends in “.pub”."
)
EXAMPLE = "a public key is one line like “ssh-ed25519 AAAAC3… you@laptop”"


class BadKey(ValueError):
    """The text is no usable public key; the message is the sentence for the person who pasted it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    type: str
    data: str
    comment: str

    @property
    def line(self) -> str:
        """The key as a guest's authorized_keys takes it: one line, options and control characters gone."""
        return " ".join(part for part in (self.type, self.data, self.comment) if part)

    @property
    def fingerprint(self) -> str:
        """What ssh-keygen -l shows: "SHA256:…"."""
        digest = hashlib.sha256(base64.b64decode(self.data)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def label(self) -> str:
        """A name for it when its owner gave none."""
        return self.comment or self.type.removeprefix("ssh-").partition("@")[0]


def is_private(text: str) -> bool:
    """Whether the text holds a private key, which must be neither stored nor shown again."""
    return "PRIVATE KEY" in text.upper() or "PUTTY-USER-KEY-FILE" in text.upper()


def parse(text: str) -> PublicKey:
    """Read one public key; raises BadKey."""
    text = text.strip()
    if is_private(text):
        raise BadKey(PRIVATE)
    if len(text) > MAX_LENGTH:
        raise BadKey(f"This is too long for a public key; {EXAMPLE}.")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) > 1:
        raise BadKey("These are several lines; paste one key, as one line.")
    words = lines[0].split() if lines else []
    if not words or (words[0] not in TYPES and not any(word in TYPES for word in words)):
        raise BadKey(
            "Keys of type ssh-dss are not accepted any more; make a new one with “ssh-keygen -t ed25519”."
            if words and words[0] == "ssh-dss"
            else f"This is not a public key; {EXAMPLE}."
        )
    if words[0] not in TYPES:
        raise BadKey(f"Options before the key are not taken; begin with “{next(w for w in words if w in TYPES)}”.")
    if len(words) == 1:
        raise BadKey("The key itself is missing after its type; copy the whole line.")
    inside, *numbers = _fields(_decoded(words[1]))
    if inside != words[0].encode():
        raise BadKey(f"The line says “{words[0]}”, but the key inside is of another type; copy the whole line again.")
    if not numbers or (words[0] == "ssh-ed25519" and len(numbers[0]) != 32):
        raise BadKey("The key is cut off; copy the whole line again.")
    if words[0] == "ssh-rsa":
        _check_rsa(numbers)
    comment = "".join(char for char in " ".join(words[2:]) if char.isprintable())[:200]
    return PublicKey(words[0], words[1], comment)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise BadKey(
            "The key is damaged or cut off: its middle part is not valid. Copy the whole line again."
        ) from None


def _fields(blob: bytes) -> list[bytes]:
    """The key's length-prefixed fields: its type, then its numbers. They fill it to the last byte."""
    found, place = [], 0
    while place < len(blob):
        start = place + 4
        place = start + int.from_bytes(blob[place:start], "big")
        found.append(blob[start:place])
    if place != len(blob) or not found:
        raise BadKey("The key is cut off; copy the whole line again.")
    return found


def _check_rsa(numbers: list[bytes]) -> None:
    bits = int.from_bytes(numbers[-1], "big").bit_length()
    if bits < MIN_RSA_BITS:
        raise BadKey(f"This RSA key has {bits} bits; at least {MIN_RSA_BITS} are needed.")
