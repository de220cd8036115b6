"""The border to libvirt's C library, which publishes no types: everything behind `libvirt` is Any, and only here.

Importing this module loads the library, so the manifest and the config never do.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _load() -> Any:
    library = import_module("libvirt")
    # The library prints every error to stderr by itself; ours travel as exceptions and are logged by whoever ends them.
    library.registerErrorHandler(_swallow, None)
    return library


def _swallow(_context: object, _error: object) -> None:
    return None


libvirt: Any = _load()

#: The one exception class of the library.
LibvirtError: type[Exception] = libvirt.libvirtError
