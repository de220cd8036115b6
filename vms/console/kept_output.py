"""What a provider kept of a machine's serial line, as it was last read: a file beside the serial log, never a record.

Written by a worker, read by pages. It goes with the log's folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from providers.base import MOST_OUTPUT
from vms.console.serial_log import Line, folder_of, plain

NAME = "provider.log"


@dataclass(frozen=True, slots=True)
class Output:
    lines: list[Line]
    read_at: datetime


def keep(vm_uuid: UUID | str, data: bytes) -> None:
    """In place of what was read before, at once: a page never sees half of it. Nobody else on the host may read it."""
    folder = folder_of(vm_uuid)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = folder / f"{NAME}.new"
    # One that a killed worker left is not trusted with what is in it, nor with its rights.
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data[-MOST_OUTPUT:])
    fresh.replace(folder / NAME)


def kept(vm_uuid: UUID | str) -> Output | None:
    """None when it was not read yet, or so long ago that it was swept away."""
    path = folder_of(vm_uuid) / NAME
    try:
        with path.open("rb") as file:
            read_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            data = file.read(MOST_OUTPUT)
    except OSError:
        return None
    lines = [Line(number, plain(raw)) for number, raw in enumerate(data.splitlines(keepends=True), start=1)]
    return Output(lines, read_at)
