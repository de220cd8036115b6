"""Pictures of running machines' screens: whose may be shown to whom, who looks at which, and where they are kept.

A picture may show anything that somebody did on a machine. So there is one only while somebody with the right to open
the console looks at a page that shows it; it is small, kept for minutes, and a machine's setting switches it off.
"""

from __future__ import annotations

import io
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from django.conf import settings
from PIL import Image

from kvweb.accounts.access import Person, allowed
from providers.base import Picture
from vms import looking
from vms.choices import Presence
from vms.models import VirtualMachine

#: How old a picture may be before the next one is taken: on a machine's own page, and in a list of many.
PAGE_S, LIST_S = 5.0, 30.0
KEPT_S = 600.0
MOST_FILES = 4000
#: Width and height that fit on a machine's page and in a row of the list, in pixels.
SIZES = {"page": (800, 600), "row": (160, 120)}
FORMATS = ("PPM", "PNG", "JPEG", "BMP", "WEBP")
#: No screen is larger; what claims to be is not unpacked.
MOST_PIXELS = 64_000_000


class NoPicture(Exception):
    """What the provider sent is no picture that can be read."""


def may_have(vm: VirtualMachine) -> bool:
    """Whether there is anything to picture: it is on, its provider can do it, and nobody switched it off."""
    return (
        vm.shows_screen
        and vm.presence == Presence.PRESENT
        and (vm.is_running or vm.is_paused)
        and vm.can.consoles is not None
        and vm.can.consoles.screenshot
        and vm.provider.is_reachable
    )


def may_see(vm: VirtualMachine, user: Person) -> bool:
    """A picture of the screen is a console that only watches."""
    return may_have(vm) and allowed(user, "vm.console", vm)


# -- who looks ---------------------------------------------------------------------------------------------------------


def look(vms: Iterable[VirtualMachine], *, place: str) -> None:
    """Somebody looks at these machines on a "page" or in a "list"."""
    looking.look(f"screens:{place}", vms)


def looked_at(provider: UUID) -> dict[UUID, float]:
    """Machines of this provider that somebody looks at, with how many seconds old their picture may be."""
    places = (("list", LIST_S), ("page", PAGE_S))
    return {uuid: age for place, age in places for uuid in looking.looked_at(f"screens:{place}", provider)}


# -- where they are kept -----------------------------------------------------------------------------------------------


def folder() -> Path:
    return Path(settings.KVWEB_HOME) / "screens"


def _file(vm_uuid: UUID, size: str) -> Path:
    return folder() / f"{vm_uuid.hex}-{size}.webp"


def taken_at(vm_uuid: UUID) -> float | None:
    """When the picture was taken, in seconds since the epoch; None: there is none, or it is too old to be shown."""
    try:
        moment = _file(vm_uuid, "page").stat().st_mtime
    except FileNotFoundError:
        return None
    return moment if time.time() - moment < KEPT_S else None


def read(vm_uuid: UUID, size: str) -> bytes | None:
    if taken_at(vm_uuid) is None:
        return None
    try:
        return _file(vm_uuid, size).read_bytes()
    except FileNotFoundError:
        return None


def keep(vm_uuid: UUID, picture: Picture) -> None:
    """Make it small and put it in the place of the one before. Raises NoPicture."""
    try:
        with Image.open(io.BytesIO(picture.data), formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise NoPicture(f"{opened.width} × {opened.height} pixels")
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise NoPicture(str(exc)) from exc
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    # The page's picture is last: it tells when all of them were taken.
    for size in sorted(SIZES, reverse=True):
        image.thumbnail(SIZES["page"], Image.Resampling.LANCZOS)
        small = image.copy()
        small.thumbnail(SIZES[size], Image.Resampling.LANCZOS)
        part = folder() / f".{secrets.token_hex(8)}"
        with part.open("xb") as target:
            small.save(target, "WEBP", quality=72)
        part.chmod(0o600)
        part.replace(_file(vm_uuid, size))


def drop(vm_uuid: UUID) -> None:
    """Nobody may see what is there any more."""
    for size in SIZES:
        _file(vm_uuid, size).unlink(missing_ok=True)


def sweep() -> int:
    """Take away pictures that are too old to be shown, and the oldest where there are too many; how many files."""
    try:
        files = sorted((entry.stat().st_mtime, entry.path) for entry in os.scandir(folder()))
    except FileNotFoundError:
        return 0
    too_many = max(0, len(files) - MOST_FILES)
    oldest = time.time() - KEPT_S
    gone = [path for number, (moment, path) in enumerate(files) if moment < oldest or number < too_many]
    for path in gone:
        Path(path).unlink(missing_ok=True)
    return len(gone)
