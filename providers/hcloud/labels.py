"""What the portal writes on resources as labels, and any text as a label's value.

A label's value has at most 63 letters, digits, dashes, underscores and dots, and begins and ends with a letter or
digit (https://docs.hetzner.cloud/reference/cloud#labels). Other text is written as "x_…" with each odd byte as _hh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from providers.base import InvalidRequest

MOST = 63
UUID = "kvweb-uuid"
"""The portal's uuid of a VM."""
MAKING = "kvweb-making"
"""On what is not complete yet: whoever finds it later may delete it."""
OWNER = "kvweb-server"
"""On a volume: id of the server that it was made for, with which it goes."""
SNAPSHOT = "kvweb-snapshot"
"""On an image: its name as a snapshot of the server that it came from."""
PARENT = "kvweb-parent"
CURRENT = "kvweb-current"
"""On a server: id of the snapshot that it was last made or brought back from."""
POWER = "kvweb-power"
IMAGE = "kvweb-image"
"""On an image: its name, since snapshots have a description only."""
SUBNET = "kvweb-subnet-"
"""On a network, with the range behind it: the subnet's name."""
OURS = "kvweb-"
WHOSE = frozenset({"owner", "project"})

_PLAIN = re.compile(r"([a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)?", re.ASCII)
_KEY = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?", re.ASCII)
_PREFIX = "x_"
_WRITTEN = re.compile(r"x_(?:[a-zA-Z0-9.-]|_[0-9a-f]{2})*", re.ASCII)


def value(text: str, *, field: str = "metadata") -> str:
    """The text as a label's value; raises InvalidRequest when it is too long for one."""
    if _PLAIN.fullmatch(text) and not text.startswith(_PREFIX):
        return text
    written = _PREFIX + "".join(
        char
        if char.isascii() and (char.isalnum() or char == ".")
        else "".join(f"_{byte:02x}" for byte in char.encode())
        for char in text
    )
    # The last character must be a letter or digit: a dot at the end is written as a number too.
    if written.endswith("."):
        written = f"{written[:-1]}_2e"
    if len(written) > MOST:
        raise InvalidRequest(
            f"Labels at Hetzner hold at most {MOST} characters; “{text[:40]}” is too long.", field=field
        )
    return written


def text_of(label: str) -> str:
    """What was written by `value`; any other label as it is."""
    if not _WRITTEN.fullmatch(label):
        return label
    parts = re.split(r"_([0-9a-f]{2})", label.removeprefix(_PREFIX))
    data = b"".join(bytes.fromhex(part) if index % 2 else part.encode() for index, part in enumerate(parts))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return label


def key(text: str) -> str:
    """A key of metadata as the key of a label; raises InvalidRequest for what cannot be one."""
    if not _KEY.fullmatch(text) or text.startswith(OURS):
        raise InvalidRequest(f"“{text[:40]}” cannot be the key of a label at Hetzner.", field="metadata")
    return text


def metadata(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels that are not the portal's own, as they were meant."""
    return {name: text_of(told) for name, told in labels.items() if not name.startswith(OURS)}


def labels_of(told: Mapping[str, str]) -> dict[str, str]:
    """Metadata as labels."""
    return {key(name): _shortened(text) if name in WHOSE else value(text) for name, text in told.items()}


def _shortened(text: str) -> str:
    """As much of it as fits: whose a VM is helps people, and nothing depends on it."""
    for most in range(len(text), -1, -1):
        with suppress(InvalidRequest):
            return value(text[:most])
    return ""
