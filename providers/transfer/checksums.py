"""Checksums: what a person or a vendor says that a file must be, and lists of them as vendors publish."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from providers.base import InvalidRequest

#: Kinds of checksum by the length of their hexadecimal form. Shorter ones can be forged.
_KINDS = {64: "sha256", 96: "sha384", 128: "sha512"}
_DIGEST = re.compile(r"\b(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64})\b", re.IGNORECASE)


class Checksum:
    """One wanted checksum, and the digest of what comes."""

    def __init__(self, kind: str, wanted: str) -> None:
        self.kind = kind
        self.wanted = wanted
        self._digest: Any = hashlib.new(kind)

    def __str__(self) -> str:
        return f"{self.kind}:{self.wanted}"

    def update(self, piece: bytes) -> None:
        self._digest.update(piece)

    def demand(self) -> None:
        """Raises InvalidRequest when what came is not what was wanted."""
        if self._digest.hexdigest() != self.wanted:
            raise InvalidRequest(
                "The checksum does not fit: the file is damaged or another one.",
                f"wanted {self.wanted}, got {self._digest.hexdigest()}",
                field="checksum",
            )


def read_checksum(text: str) -> Checksum | None:
    """From "sha256:…" or the bare digits; None for an empty text. Raises InvalidRequest for what is neither."""
    kind, _, digits = text.strip().lower().rpartition(":")
    if not digits:
        return None
    known = _KINDS.get(len(digits))
    if known is None or kind not in {"", known} or not _DIGEST.fullmatch(digits):
        raise InvalidRequest("Give the checksum as “sha256:…” or “sha512:…”.", field="checksum")
    return Checksum(known, digits)


def find_checksum(listed: str, url: str) -> Checksum:
    """The checksum of the file at `url` in a vendor's list: lines "digest  name" or "SHA256 (name) = digest", or one
    digest alone. Raises InvalidRequest when it is not there."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    mine, every = set(), set()
    for line in listed.splitlines():
        found = _DIGEST.search(line)
        if found is None:
            continue
        every.add(found[0].lower())
        words = line.replace("(", " ").replace(")", " ").replace("*", " ").split()
        if any(word.rpartition("/")[2] == name for word in words):
            mine.add(found[0].lower())
    # Several kinds of one file are fine, and the longest is the strongest; a list of one needs no name.
    chosen = mine or (every if len(every) == 1 else set())
    if not chosen:
        raise InvalidRequest("The vendor's list of checksums does not name this file.", name, field="checksum")
    digits = max(chosen, key=len)
    return Checksum(_KINDS[len(digits)], digits)
