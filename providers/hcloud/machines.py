"""Lifecycle of servers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from providers.base import QUIET, Conflict, Machines, NotFound, Progress, VmRecord, VmSpec
from providers.hcloud import labels, settings
from providers.hcloud.api import Api, Json, attempt_all
from providers.hcloud.creation import Creation, clear_away
from providers.hcloud.part import Part
from providers.hcloud.records import vm_record


class HcloudMachines(Part, Machines):
    def list(self) -> Sequence[VmRecord]:
        """Pages of servers, and pages of volumes when any server has one: their sizes are told nowhere else; so are the
        names of firewalls and floating addresses."""
        servers = self.api.pages("servers")
        volumes: dict[int, Json] = {}
        if any(server["volumes"] for server in servers):
            volumes = {volume["id"]: volume for volume in self.api.pages("volumes")}
        names = settings.read_names(self.api, settings.names_needed(servers))
        return [vm_record(server, volumes, options=settings.told(server, names)) for server in servers]

    def get(self, external_id: str) -> VmRecord:
        return self.record(external_id)

    def find(self, name: str) -> VmRecord:
        server = self.api.named("servers", name)
        if server is None:
            raise NotFound(f"There is no VM called “{name}”.")
        return self.record(str(server["id"]))

    def create(self, spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        return self.record(Creation(self.api, spec, progress).run())

    def delete(
        self,
        external_id: str,
        *,
        keep_disks: bool = False,
        with_snapshots: bool = False,
        progress: Progress = QUIET,
    ) -> None:
        """Volumes that were made for this server go with it; others are only detached, as the API does by itself."""
        server = self.server(external_id)
        snapshots = self.snapshots_of(external_id)
        if snapshots and not with_snapshots:
            raise Conflict("The VM has snapshots; delete them first.")
        volumes = [] if keep_disks else own_volumes(self.api, server)
        answer = self.api.delete(f"/servers/{external_id}")
        self.api.settle(answer.get("action"), progress=progress, sentence="Deleting the VM.", percent=(10, 70))
        steps = [partial(self.api.delete, f"/volumes/{volume['id']}") for volume in volumes]
        steps += [partial(self.api.delete, f"/images/{image['id']}") for image in snapshots]
        for error in attempt_all(steps):
            raise Conflict("The VM is gone, but not all of its volumes and snapshots could be deleted.", error.detail)
        progress.report(100, "Deleted.")

    def discard(self, portal_uuid: str) -> bool:
        """Only what carries the mark of being made."""
        return clear_away(self.api, f"{labels.MAKING},{labels.UUID}={portal_uuid}")


def own_volumes(api: Api, server: Json) -> Sequence[Json]:
    """Volumes that hang on the server and were made for it."""
    if not server["volumes"]:
        return []
    made = api.pages("volumes", label_selector=f"{labels.OWNER}={server['id']}")
    return [volume for volume in made if volume["server"] == server["id"]]
