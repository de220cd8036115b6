"""What a serial line said, in files of bounded size: one folder a machine, written by the console service alone.

Two files take turns: when the new one is full it becomes the old one, so that between half of the limit and all of it
is kept. Beside each file of bytes lies one of marks: "at this byte it was this time", and "here the machine started".
Marks are not in the bytes, so nothing that a guest prints can look like one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from django.conf import settings

#: What a mark says besides the time.
STARTED, ENDED, LISTENING, RESTARTED, UNHEARD = "started", "ended", "listening", "restarted", "unheard"
#: Times are noted at most so often: a line is dated to about this many seconds.
STAMP_EVERY_S = 10.0
MOST_MARKS = 4096
#: Control sequences of terminals, as far as they do not print: colours, cursor, titles.
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])")
_UNPRINTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def folder_of(vm_uuid: UUID | str) -> Path:
    return Path(settings.SERIAL_LOG_DIR) / str(UUID(str(vm_uuid)))


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is read: when it was written, to a few seconds, and what a mark before it says."""

    number: int
    text: str
    at: float | None = None
    mark: str = ""


class Writer:
    """Used by one thread, which may wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamped_at = 0.0
        self._marks = 0

    def write(self, data: bytes) -> None:
        half = max(1, settings.SERIAL_LOG_BYTES // 2)
        data = data[-2 * half :]
        while data:
            size = self._size()
            if size >= half or self._marks >= MOST_MARKS:
                self._turn()
                size = 0
            now = time.time()
            if now - self._stamped_at >= STAMP_EVERY_S:
                self._stamped_at = now
                self._note(size, now, "")
            part, data = data[: half - size], data[half - size :]
            with _opened(self._folder / "new.log") as file:
                file.write(part)

    def mark(self, word: str) -> None:
        self._note(self._size(), time.time(), word)

    def tail(self, count: int) -> bytes:
        """The last bytes, and nothing of a line that began before them."""
        data = b"".join(_read(self._folder / name) for name in ("old.log", "new.log"))[-count:]
        return data.partition(b"\n")[2] if len(data) == count else data

    def written_at(self) -> float | None:
        try:
            return (self._folder / "new.log").stat().st_mtime
        except OSError:
            return None

    def endpoint(self) -> str:
        """Where the line was when it was last listened to: another place is another start of the machine."""
        return _read(self._folder / "endpoint").decode(errors="replace")

    def keep_endpoint(self, endpoint: str) -> None:
        path = self._folder / "endpoint"
        path.unlink(missing_ok=True)
        with _opened(path) as file:
            file.write(endpoint.encode())

    def _size(self) -> int:
        try:
            return (self._folder / "new.log").stat().st_size
        except OSError:
            return 0

    def _note(self, offset: int, at: float, word: str) -> None:
        self._marks += 1
        with _opened(self._folder / "new.marks") as file:
            file.write(json.dumps([offset, round(at, 1), word]).encode() + b"\n")

    def _turn(self) -> None:
        self._marks, self._stamped_at = 0, 0.0
        for ending in ("log", "marks"):
            path = self._folder / f"new.{ending}"
            if path.exists():
                path.replace(self._folder / f"old.{ending}")


def lines(vm_uuid: UUID | str) -> Iterator[Line]:
    """Everything that is kept, line by line, without what only a terminal needs."""
    at: float | None = None
    number = 0
    waiting: list[tuple[float, str]] = []
    for said in _said(folder_of(vm_uuid)):
        if not isinstance(said, bytes):
            at = said[0]
            waiting += [said] if said[1] else []
            continue
        for marked_at, word in _telling(waiting):
            number += 1
            yield Line(number, "", marked_at, word)
        waiting = []
        number += 1
        yield Line(number, plain(said), at)
    for marked_at, word in _telling(waiting):
        number += 1
        yield Line(number, "", marked_at, word)


def _said(folder: Path) -> Iterator[bytes | tuple[float, str]]:
    """Lines and marks in their order, from both files."""
    for name in ("old", "new"):
        marks = deque(_marks(folder / f"{name}.marks"))
        position = 0
        for raw in _read(folder / f"{name}.log").splitlines(keepends=True):
            while marks and marks[0][0] <= position:
                yield marks.popleft()[1:]
            position += len(raw)
            yield raw
        yield from (mark[1:] for mark in marks)


def _telling(marks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Of marks between which nothing was said those that tell something.

    Firmware resets a machine twice for one restart, and a page that is opened and left has heard nothing.
    """
    telling: list[tuple[float, str]] = []
    for at, word in marks:
        before = telling[-1][1] if telling else ""
        if word in {ENDED, UNHEARD} and before == LISTENING:
            telling.pop()
            before = telling[-1][1] if telling else word
        if word != before or word == STARTED:
            telling.append((at, word))
    return telling


def plain(raw: bytes) -> str:
    """A line as text: no colours, no movements of the cursor; what was overwritten from its beginning is not kept."""
    text = _SEQUENCES.sub("", raw.decode("utf-8", "replace")).rstrip("\r\n")
    return _UNPRINTED.sub("", text.rpartition("\r")[2])


def size_of(vm_uuid: UUID | str) -> int:
    return sum(len(_read(folder_of(vm_uuid) / name)) for name in ("old.log", "new.log"))


def remove(vm_uuid: UUID | str) -> None:
    shutil.rmtree(folder_of(vm_uuid), ignore_errors=True)


def sweep(kept: set[str]) -> int:
    """Remove logs of machines that are not among `kept`, and those in which nothing was written for a long time."""
    count, root = 0, Path(settings.SERIAL_LOG_DIR)
    if not root.is_dir():
        return 0
    oldest = time.time() - settings.SERIAL_LOG_DAYS * 86400
    for folder in root.iterdir():
        if folder.name not in kept or folder.stat().st_mtime < oldest > _last_write(folder):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _last_write(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.glob("*.log")), default=0.0)


def _opened(path: Path) -> IO[bytes]:
    """For appending; nobody else on this host may read what a machine said."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _marks(path: Path) -> list[tuple[int, float, str]]:
    found = []
    for line in _read(path).splitlines():
        try:
            offset, at, word = json.loads(line)
            found.append((int(offset), float(at), str(word)))
        except (ValueError, TypeError):
            # The last line may be cut off where the service was killed.
            continue
    return found
