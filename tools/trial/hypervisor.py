"""The machine's own libvirt, on which several tests may be at work at once, left as it was found."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import libvirt

URI = "qemu:///system"
PREFIX = "kvweb-test-live-"
"""How every VM is called that these tests make."""

_OURS = (PREFIX, "kvweb-guest-")
"""How volumes begin that they make: disks of their VMs, and the guest that a portal brings at its first start."""


@contextlib.contextmanager
def what_libvirt_had() -> Iterator[libvirt.virConnect]:
    """A connection; afterwards there is no VM and no volume of these tests that was not there before.

    Others may be using the same libvirt meanwhile, in other processes: a portal finds the guest that another one
    brought, and makes its disks from it. So only who leaves last clears up, by the list of who came first.
    """
    connection = libvirt.open(URI)
    try:
        # Not tempfile.gettempdir(), which each process of a test run has for itself.
        with Path("/tmp", f"kvweb-trial-{os.getuid()}.lock").open("a+") as lock:
            before = _enter(lock.fileno(), volumes(connection))
            try:
                yield connection
            finally:
                if _is_alone(lock.fileno()):
                    _clear(connection, before)
    finally:
        connection.close()


def _enter(lock: int, found: list[str]) -> set[str]:
    """Hold the lock beside others; returns the volumes that the first of them found."""
    if _is_alone(lock):
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(found).encode(), 0)
    fcntl.flock(lock, fcntl.LOCK_SH)
    # Between the two locks somebody may have come and gone: then this list is theirs, and as good.
    return set(json.loads(os.pread(lock, os.fstat(lock).st_size, 0) or b"[]"))


def _is_alone(lock: int) -> bool:
    """Whether nobody else holds the lock; it is ours alone then, and else given up."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear(connection: libvirt.virConnect, before: set[str]) -> None:
    for domain in connection.listAllDomains():
        if domain.name().startswith(PREFIX):
            if domain.isActive():
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
    for path in set(volumes(connection)) - before:
        if Path(path).name.startswith(_OURS):
            with contextlib.suppress(libvirt.libvirtError):
                connection.storageVolLookupByPath(path).delete()


def volumes(connection: libvirt.virConnect) -> list[str]:
    """Paths of all volumes of all pools, read anew from the disk."""
    found = []
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        # Another test's pool may go while we look.
        with contextlib.suppress(libvirt.libvirtError):
            pool.refresh()
            found += [volume.path() for volume in pool.listAllVolumes()]
    return found
