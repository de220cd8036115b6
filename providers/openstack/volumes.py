"""Volumes of block storage. Volume types stand for pools."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    NotSupported,
    PoolRecord,
    Pools,
    PoolSpec,
    Progress,
    VolumeRecord,
    Volumes,
    VolumeSpec,
)
from providers.openstack.blocks import VolumePart, least_gib
from providers.openstack.errors import vendor_calls
from providers.openstack.records import volume_record
from providers.openstack.service import Json


class OpenStackVolumes(VolumePart, Volumes):
    def list(self, pool: str = "") -> Sequence[VolumeRecord]:
        with vendor_calls():
            found = [volume_record(each) for each in self.cinder.all("/volumes/detail", "volumes")]
        return [each for each in found if pool in ("", each.pool)]

    def get(self, external_id: str) -> VolumeRecord:
        with vendor_calls():
            return volume_record(self.volume(external_id))

    def create(self, spec: VolumeSpec, progress: Progress = QUIET) -> VolumeRecord:
        with vendor_calls():
            self._check_name(spec.name)
            source: Json = {}
            size = spec.size_gib
            if spec.image:
                image = self.image(spec.image)
                source, size = {"imageRef": image["id"]}, max(size, least_gib(image))
            progress.report(10, "Making the volume.")
            return self._finished(self.make_volume(name=spec.name, size_gib=size, pool=spec.pool, **source), progress)

    def grow(self, external_id: str, size_gib: int) -> VolumeRecord:
        with vendor_calls():
            return volume_record(self.grow_volume(external_id, size_gib))

    def clone(self, external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        with vendor_calls():
            source = self.volume(external_id)
            self._check_name(name)
            if source.get("attachments"):
                self._refuse_running(source)
            progress.report(10, "Copying the volume.")
            copy = self.make_volume(
                name=name,
                size_gib=int(source["size"]),
                pool=pool or str(source.get("volume_type") or ""),
                source_volid=source["id"],
            )
            return self._finished(copy, progress)

    def delete(self, external_id: str) -> None:
        with vendor_calls():
            self.remove_volume(external_id)

    def _check_name(self, name: str) -> None:
        if any(each.get("name") == name for each in self.cinder.all("/volumes", "volumes", name=name)):
            raise AlreadyExists(f"There is a volume “{name}” already.", field="name")

    def _refuse_running(self, volume: Json) -> None:
        for attachment in volume["attachments"]:
            server = self.cloud.compute.get(f"/servers/{attachment['server_id']}")["server"]
            if server.get("status") not in ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"):
                raise Conflict(f"“{server.get('name')}” runs with this volume; stop it first.")

    def _finished(self, volume: Json, progress: Progress) -> VolumeRecord:
        try:
            made = self.wait_volume(volume["id"], "available", what="Making the volume", progress=progress)
        except BaseException:
            self.drop_volume(volume["id"])
            raise
        progress.report(100, "Done.")
        return volume_record(made)


class OpenStackPools(VolumePart, Pools):
    """Volume types: what a disk is made on. Their room is not told to projects."""

    def list(self) -> Sequence[PoolRecord]:
        with vendor_calls():
            types = self.cinder.all("/types", "volume_types")
        return [PoolRecord(external_id=each["name"], name=each["name"], type="volume type") for each in types]

    def create(self, spec: PoolSpec) -> PoolRecord:
        raise NotSupported("Volume types are made by the cloud's operators.")

    def delete(self, external_id: str, *, with_volumes: bool = False) -> None:
        raise NotSupported("Volume types are deleted by the cloud's operators.")

    def update(self, external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        raise NotSupported("Volume types cannot be switched off.")

    def refresh(self, external_id: str) -> PoolRecord:
        raise NotSupported("There is nothing to look at again.")
