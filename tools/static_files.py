"""Links all static files into one folder for nginx, when there are new ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tools.place import ROOT, Place

APPS = ("kvweb", "vms", "storage", "networking", "providers")


def fingerprint() -> str:
    """Changes when a file comes or goes; the content of our own does not matter, since they are linked, not copied."""
    digest = hashlib.sha256()
    for lock in ("package-lock.json", "requirements/base.txt"):
        digest.update((ROOT / lock).read_bytes())
    folders = [ROOT / "static", *(folder for app in APPS for folder in (ROOT / app).glob("**/static"))]
    for file in sorted(file for folder in folders for file in folder.rglob("*")):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\n")
    # Links point into the tree, so a tree that was moved needs new ones.
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def mark(place: Place) -> Path:
    return place.home / "static" / ".collected"


def are_current(place: Place) -> bool:
    try:
        return mark(place).read_text() == fingerprint()
    except OSError:
        return False


def command(python: str) -> list[str]:
    return [python, "manage.py", "collectstatic", "--noinput", "--link", "--clear", "--verbosity", "0"]


def note(place: Place) -> None:
    mark(place).write_text(fingerprint())
