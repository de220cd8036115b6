"""Checksums: what a person or a vendor says that a file must be, and lists of them as vendors publish."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlsplit

from providers.base import InvalidRequest

#: Kinds of checksum by the length of their hexadecimal form. Shorter ones can be forged.
_KINDS = {64: "sha256", 96: "sha384", 128: "sha512"}
_DIGEST = re.compile(r"\b(?:[0-9a-f]{128}|[0-9a-f]{96}|[0-9a-f]{64})\b", re.IGNORECASE)


#: Pieces that wait to be hashed at most.
_WAITING_MOST = 4


class Hashing:
    """A digest of what comes, made in a thread beside whoever reads and writes: hashing takes longer than either."""

    def __init__(self, kind: str) -> None:
        self._digest: Any = hashlib.new(kind)
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()

    def update(self, piece: bytes) -> None:
        if self._thread is None:
            # It ends with this object, or with the process.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="hashing")
        self._waiting.append(self._thread.submit(self._digest.update, piece))
        if len(self._waiting) > _WAITING_MOST:
            self._waiting.popleft().result()

    def digest(self) -> bytes:
        """Of all that came; nothing may come afterwards."""
        if self._thread is not None:
            self._thread.shutdown()
        while self._waiting:
            self._waiting.popleft().result()
        return bytes(self._digest.digest())


class Checksum:
    """One wanted checksum, and the digest of what comes."""

    def __init__(self, kind: str, wanted: str) -> None:
        self.kind = kind
        self.wanted = wanted
        self._hashing = Hashing(kind)

    def __str__(self) -> str:
        return f"{self.kind}:{self.wanted}"

    def update(self, piece: bytes) -> None:
        self._hashing.update(piece)

    def demand(self) -> None:
        """Raises InvalidRequest when what came is not what was wanted; the last call."""
        found = self._hashing.digest().hex()
        if found != self.wanted:
            raise InvalidRequest(
                "The checksum does not fit: the file is damaged or another one.",
                f"wanted {self.wanted}, got {found}",
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
