"""What every facet of this kind stands on: the shared connection, the config, and the look-ups by identity.

The identity of a VM is its uuid. Pools, networks and host bridges are known by their names, because the VMs' own
documents refer to them so: a network that is made anew under the same name is the same one to every VM.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from providers.base import Conflict, NotFound
from providers.kvm.config import KvmConfig
from providers.kvm.connection import Connection
from providers.kvm.errors import has_code, still_there
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.storage import read_pool


class Part:
    """Base of the facets. They keep nothing of their own, so a driver may be used from several threads."""

    def __init__(self, connection: Connection, config: KvmConfig) -> None:
        self.connection = connection
        self.config = config

    @property
    def raw(self) -> Any:
        """libvirt's connection."""
        return self.connection.raw

    def domain(self, external_id: str) -> Any:
        """The VM with this uuid; raises NotFound."""
        found = self.domain_or_none(external_id)
        if found is None:
            raise NotFound("The VM does not exist any more.", external_id)
        return found

    def domain_or_none(self, external_id: str) -> Any:
        try:
            return self.raw.lookupByUUIDString(external_id)
        except LibvirtError as exc:
            # A text that is no uuid at all is an invalid argument to libvirt, and nobody's identity to us.
            if has_code(exc, libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
                return None
            raise

    def defined(self, external_id: str) -> Any:
        """A VM that stays when it is off; raises Conflict for one that libvirt forgets then (a "transient" one)."""
        found = self.domain(external_id)
        if not found.isPersistent():
            raise Conflict("It exists only while it runs, so nothing of it can be kept for later.")
        return found

    def domain_named(self, name: str) -> Any:
        """The VM with this name, None when there is none."""
        try:
            return self.raw.lookupByName(name)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_DOMAIN):
                return None
            raise

    def pool(self, external_id: str) -> Any:
        """An active pool, or the default for an empty id; raises NotFound, Conflict for one that is switched off."""
        pool = self.any_pool(external_id) if external_id else self._default_pool()
        if not pool.isActive():
            raise Conflict(f"The storage pool “{pool.name()}” is switched off.", field="pool")
        return pool

    def any_pool(self, external_id: str) -> Any:
        """A pool, active or not; raises NotFound."""
        try:
            return self.raw.storagePoolLookupByName(external_id)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_POOL):
                raise NotFound(f"There is no storage pool “{external_id}”.", field="pool") from exc
            raise

    def active_pools(self) -> list[Any]:
        return list(self.raw.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE))

    def _default_pool(self) -> Any:
        if self.config.pool:
            return self.any_pool(self.config.pool)
        pools = self.active_pools()
        named = [pool for pool in pools if pool.name() == "default"]
        if named:
            return named[0]
        if len(pools) == 1:
            return pools[0]
        if not pools:
            raise NotFound("The hypervisor has no storage pool; create one first.", field="pool")
        raise NotFound("Choose a storage pool: there are several and none is the default.", field="pool")

    def pool_that_is_off(self, key: str) -> str:
        """The name of a pool that would have this volume if it were switched on; empty for none."""
        for pool in self.raw.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE):
            for text in still_there([pool], lambda each: str(each.XMLDesc(0))):
                path = read_pool(text).path
                if path and PurePosixPath(key).parent == PurePosixPath(path):
                    return str(pool.name())
        return ""

    def volume(self, external_id: str, what: str = "volume", field: str = "") -> Any:
        """The volume with this key; raises NotFound with a sentence about `what`, Conflict where its pool is off."""
        found = self.volume_or_none(external_id)
        if found is None:
            if off := self.pool_that_is_off(external_id):
                raise Conflict(f"The storage pool “{off}” is switched off.", external_id, field=field)
            raise NotFound(f"The {what} does not exist any more.", external_id, field=field)
        return found

    def volume_or_none(self, external_id: str) -> Any:
        try:
            return self.raw.storageVolLookupByKey(external_id)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL, libvirt.VIR_ERR_INVALID_ARG):
                return None
            raise
