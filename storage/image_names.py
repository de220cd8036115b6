"""Names of images: what a volume may be called, and the name that a file or address suggests."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
#: Endings of packed files: what is stored is unpacked.
_PACKED = re.compile(r"\.(xz|gz|bz2|zst)$", re.IGNORECASE)
NAME_HINT = "Letters, digits, “.”, “-” and “_”."


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def name_from(source: str) -> str:
    """A name from the last part of an address or path; empty when nothing of it is left."""
    path = urlsplit(source).path if "://" in source else source
    last = unquote(path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", _PACKED.sub("", last)).strip("-._")
    return clean[:120]
