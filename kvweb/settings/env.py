"""Readers of the environment: the only place of the project that looks at it.

Every name read is remembered in `KNOWN`, from which the table of settings in the documentation is made.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

KNOWN: dict[str, str] = {}


def text(name: str, default: str = "") -> str:
    KNOWN[name] = default
    return os.environ.get(name, default).strip()


def choice(name: str, options: Sequence[str], default: str) -> str:
    value = text(name, default)
    if value not in options:
        raise ImproperlyConfigured(f"{name} is “{value}”; it must be one of: {', '.join(options)}.")
    return value


def flag(name: str, default: bool = False) -> bool:
    value = text(name, "yes" if default else "no").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name} is “{value}”; write yes or no.")


def number(name: str, default: float) -> float:
    value = text(name, str(default))
    try:
        return float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is “{value}”; write a number.") from None


def words(name: str, default: Sequence[str] = ()) -> list[str]:
    """A list separated by commas."""
    return [word.strip() for word in text(name, ",".join(default)).split(",") if word.strip()]


def secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names; empty when neither is set."""
    KNOWN[name] = ""
    file = text(f"{name}_FILE")
    if file:
        return Path(file).read_text().strip()
    return text(name)


def kept_secret(name: str, file: Path, make: str) -> str:
    """`secret(name)`, else the content of `file`, which is written once with `make` and is readable by us alone."""
    value = secret(name)
    if value:
        return value
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        pass
    file.parent.mkdir(parents=True, exist_ok=True)
    # A hard link makes the finished file appear at once: of two processes that start together one wins, both read it.
    draft = file.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(make + "\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return file.read_text().strip()
