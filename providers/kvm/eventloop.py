"""libvirt's event loop: one thread per process, needed for keepalive and for events.

The loop's state lives in the C library and does not survive a fork: its lock may be held by a thread that the child
does not have, and its descriptors belong to the parent's conversations. So a process that was forked after the loop
had started never gets one; it can call libvirt, but gets no events.
"""

from __future__ import annotations

import logging
import os
import threading

from providers.kvm.native import LibvirtError, libvirt

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_state = "unused"


def start() -> bool:
    """Start the loop once per process; False where this process cannot have one. Call before opening a connection."""
    global _state  # noqa: PLW0603 - the C library allows one loop per process, so there is one state per process
    with _lock:
        if _state == "unused":
            libvirt.virEventRegisterDefaultImpl()
            threading.Thread(target=_run, name="libvirt-events", daemon=True).start()
            _state = "running"
        return _state == "running"


def _run() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except LibvirtError:
            _log.exception("libvirt's event loop stumbled")


def _after_fork() -> None:
    global _lock, _state  # noqa: PLW0603 - see above
    _lock = threading.Lock()
    if _state == "running":
        _state = "lost"


os.register_at_fork(after_in_child=_after_fork)
