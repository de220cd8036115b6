"""Disks of servers: the local one, which belongs to the size, and volumes; and the drive for ISO images."""

from __future__ import annotations

from providers.base import QUIET, Conflict, Disks, DiskSpec, InvalidRequest, NotFound, NotSupported, Progress, VmRecord
from providers.hcloud.creation import check_disk, check_size, plug_disk
from providers.hcloud.part import Part
from providers.hcloud.records import DRIVE, ROOT


class HcloudDisks(Part, Disks):
    def attach(self, external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        server = self.server(external_id)
        check_disk(disk)
        progress.report(20, "Plugging in the disk.")
        number = len(server["volumes"]) + 2
        plug_disk(self.api, external_id, disk, name=self._free_name(server["name"], number))
        return self.record(external_id)

    def _free_name(self, vm: str, number: int) -> str:
        while self.api.named("volumes", f"{vm}-disk{number}") is not None:
            number += 1
        return f"{vm}-disk{number}"

    def detach(self, external_id: str, disk_id: str, *, delete: bool = False) -> VmRecord:
        self._check_is_volume(external_id, disk_id)
        answer = self.api.post(f"/volumes/{disk_id}/actions/detach")
        self.api.settle(answer["action"])
        if delete:
            self.api.delete(f"/volumes/{disk_id}")
        return self.record(external_id)

    def grow(self, external_id: str, disk_id: str, size_gib: int) -> VmRecord:
        self._check_is_volume(external_id, disk_id)
        check_size(size_gib)
        if size_gib <= self.api.one("volumes", disk_id)["size"]:
            raise InvalidRequest("Volumes can only become larger.", field="size_gib")
        self.api.settle(self.api.post(f"/volumes/{disk_id}/actions/resize", {"size": size_gib})["action"])
        return self.record(external_id)

    def move(self, external_id: str, disk_id: str, pool: str, progress: Progress = QUIET) -> VmRecord:
        raise NotSupported("Volumes at Hetzner stay in their location.")

    def set_iso(self, external_id: str, image: str | None, *, force: bool = False) -> VmRecord:
        """The VM boots from it at its next start."""
        server = self.server(external_id)
        if image is None:
            if server["iso"]:
                self.api.settle(self.api.post(f"/servers/{external_id}/actions/detach_iso")["action"])
            return self.record(external_id)
        if not image.startswith("iso-"):
            raise NotFound("There is no ISO image with this id.")
        number = str(self.api.one("isos", image.removeprefix("iso-"))["id"])
        return self.settle_and_read(
            external_id, self.api.post(f"/servers/{external_id}/actions/attach_iso", {"iso": number})["action"]
        )

    def _check_is_volume(self, external_id: str, disk_id: str) -> None:
        server = self.server(external_id)
        if disk_id in {ROOT, DRIVE}:
            raise Conflict("The local disk of a VM at Hetzner belongs to its size; change the size instead.")
        if disk_id not in {str(number) for number in server["volumes"]}:
            raise NotFound("The VM has no such disk.")
