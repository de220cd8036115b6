"""The files in which UEFI firmware keeps its variables, which no pool of the portal's holds.

libvirt names them after the VM, in a folder that every distribution has at the same place for the system's libvirt, and
neither copies them with a VM nor renames them with one. They are reached through a pool over that folder that lives as
long as the copy takes, so that a remote host is no different.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any
from uuid import uuid4

from providers.kvm import storage
from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.xml.build import read, text_at
from providers.kvm.xml.storage import pool_document, read_pool, volume_document

_log = logging.getLogger(__name__)

#: https://libvirt.org/formatdomain.html#bios-bootloader; a session's libvirt keeps them in its user's home.
_FOLDER = "/var/lib/libvirt/qemu/nvram"


def is_default(document: str) -> bool:
    """Whether the VM of this document has UEFI variables in a file that libvirt chooses by the VM's name."""
    os = read(document).find("os")
    if os is None:
        return False
    path = text_at(os, "nvram")
    is_uefi = os.get("firmware") == "efi" or text_at(os, "loader/@type") == "pflash"
    return is_uefi and (not path or PurePosixPath(path).parent == PurePosixPath(_FOLDER))


class Nvram(Part):
    """Each returns whether there was a file; a VM that never ran has none."""

    def copy(self, old: str, new: str) -> bool:
        """Give the VM called `new` the variables of the one called `old`."""
        with self._pool() as pool:
            source = _file(pool, old)
            if source is None:
                return False
            left = _file(pool, new)
            if left is not None:
                left.delete(0)
            seen = storage.seen(source)
            document = volume_document(name=_name(new), capacity=seen.capacity, format_="raw", mode="0600")
            pool.createXMLFrom(document, source, 0)
            return True

    def remove(self, name: str) -> bool:
        with self._pool() as pool:
            found = _file(pool, name)
            return found is not None and storage.remove(found)

    def content(self, name: str) -> bytes:
        """The variables of the VM with this name, empty when there is no file."""
        with self._pool() as pool:
            found = _file(pool, name)
            return storage.piece(self.raw, found, 0, found.info()[1]) if found is not None else b""

    def write(self, name: str, content: bytes) -> None:
        """Give a VM of this name these variables, in the place of any that are there."""
        self.remove(name)
        with self._pool() as pool:
            if pool is not None:
                storage.upload(self.raw, pool, name=_name(name), content=content)

    @contextmanager
    def _pool(self) -> Iterator[Any]:
        """A pool over the folder; another's is used when there is one."""
        if "/session" in self.config.uri:
            yield None
            return
        pool, is_ours = self._opened()
        try:
            yield pool
        finally:
            if is_ours:
                try:
                    pool.destroy()
                except LibvirtError as exc:
                    _log.warning("A pool over %s stays: %s", _FOLDER, exc)

    def _opened(self) -> tuple[Any, bool]:
        end = time.monotonic() + 10
        while True:
            for pool in self.active_pools():
                # One that another copy opened may end at any moment.
                if read_pool(pool.XMLDesc(0)).path.rstrip("/") == _FOLDER and not pool.name().startswith(
                    "kvweb-nvram-"
                ):
                    return pool, False
            document = pool_document(name=f"kvweb-nvram-{uuid4().hex[:12]}", type_="dir", path=_FOLDER)
            try:
                return self.raw.storagePoolCreateXML(document, 0), True
            except LibvirtError as exc:
                if has_code(exc, libvirt.VIR_ERR_OPERATION_FAILED) and time.monotonic() < end:
                    time.sleep(0.2)
                    continue
                raise


def _name(vm: str) -> str:
    return f"{vm}_VARS.fd"


def _file(pool: Any, vm: str) -> Any:
    if pool is None:
        return None
    try:
        return pool.storageVolLookupByName(_name(vm))
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return None
        raise
