"""Lifecycle: list, read, create and delete VMs."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import QUIET, Machines, NotFound, NotSupported, Progress, VmRecord, VmSpec
from providers.openstack.creation import Creation, Leftovers
from providers.openstack.errors import vendor_calls
from providers.openstack.part import MARK, mark_of
from providers.openstack.servers import ServerPart
from providers.openstack.service import Json

#: From this microversion on it can be changed whether a volume goes with its VM.
_KEEPS_DISKS = (2, 85)


class OpenStackMachines(ServerPart, Machines):
    @property
    def keeps_disks(self) -> bool:
        return self.cloud.volume is not None and self.cloud.compute.knows >= _KEEPS_DISKS

    def zones(self) -> dict[str, str]:
        """Availability zones to choose from: none where there is one only."""
        with vendor_calls():
            told = self.cloud.compute.get("/os-availability-zone")["availabilityZoneInfo"]
        names = sorted(str(each["zoneName"]) for each in told if (each.get("zoneState") or {}).get("available"))
        return {name: name for name in names} if len(names) > 1 else {}

    def list(self) -> Sequence[VmRecord]:
        with vendor_calls():
            return self.records()

    def get(self, external_id: str) -> VmRecord:
        with vendor_calls():
            return self.record(external_id)

    def find(self, name: str) -> VmRecord:
        with vendor_calls():
            for server in self.servers_called(name):
                return self.record_of(server)
        raise NotFound(f"There is no VM called “{name}”.")

    def create(self, spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        """Nova cannot make a VM without starting it: one that is not to run is stopped as soon as it is up."""
        with vendor_calls():
            return Creation(self.cloud, spec, progress).run()

    def delete(
        self,
        external_id: str,
        *,
        keep_disks: bool = False,
        with_snapshots: bool = False,
        progress: Progress = QUIET,
    ) -> None:
        """Snapshots of a VM are images of their own here and stay."""
        del with_snapshots
        with vendor_calls():
            server = self.server(external_id)
            attached = server.get("os-extended-volumes:volumes_attached", ())
            if keep_disks:
                self._keep(external_id, [each["id"] for each in attached])
            gone = [] if keep_disks else [each["id"] for each in attached if each.get("delete_on_termination")]
            ports, addresses = self._own_ports(server), self._own_addresses(server)
            progress.report(20, "Deleting the VM.")
            sweeper = Leftovers(self.cloud)
            sweeper.drop_server(external_id)
            progress.report(70, "Deleting its cards and disks.")
            for path in (*(f"/floatingips/{each}" for each in addresses), *(f"/ports/{each}" for each in ports)):
                sweeper.drop(path)
            for volume in gone:
                sweeper.wait_gone(lambda volume=volume: sweeper.no_error(volume), "Deleting the disk")  # type: ignore[misc]
            progress.report(100, "Deleted.")

    def discard(self, portal_uuid: str) -> bool:
        with vendor_calls():
            return bool(portal_uuid) and Leftovers(self.cloud).discard(portal_uuid)

    def _keep(self, external_id: str, volumes: Sequence[str]) -> None:
        if volumes and not self.keeps_disks:
            raise NotSupported("This cloud's Nova is too old to keep the disks of a VM that is deleted.")
        for volume in volumes:
            self.cloud.compute.put(
                f"/servers/{external_id}/os-volume_attachments/{volume}",
                {"volumeAttachment": {"volumeId": volume, "delete_on_termination": False}},
            )

    def _own_ports(self, server: Json) -> Sequence[str]:
        """Those that the portal made for it: Nova deletes only what it made itself."""
        mark = mark_of((server.get("metadata") or {}).get(MARK, ""))
        return [port["id"] for port in self.ports_of(server["id"]) if port.get("description") == mark]

    def _own_addresses(self, server: Json) -> Sequence[str]:
        """Floating ones that the portal took for it: they would go on being counted, and paid for."""
        mark = mark_of((server.get("metadata") or {}).get(MARK) or server["id"])
        return [each["id"] for each in self.cloud.network.all("/floatingips", "floatingips", description=mark)]
