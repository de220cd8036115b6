"""What every facet stands on: the project's API, and a server as a record."""

from __future__ import annotations

from providers.base import VmRecord
from providers.hcloud import labels, settings
from providers.hcloud.api import Api, Json
from providers.hcloud.records import snapshot_records, vm_record


class Part:
    def __init__(self, api: Api) -> None:
        self.api = api

    def server(self, external_id: str) -> Json:
        """Raises NotFound."""
        return self.api.one("servers", external_id)

    def snapshots_of(self, external_id: str) -> list[Json]:
        """Images that the portal made as snapshots of this server."""
        selector = f"{labels.SNAPSHOT},{labels.OWNER}={external_id}"
        return self.api.pages("images", type="snapshot", label_selector=selector)

    def record(self, external_id: str) -> VmRecord:
        """The server as it is now, in full."""
        server = self.server(external_id)
        volumes = {number: self.api.one("volumes", str(number)) for number in server["volumes"]}
        snapshots = snapshot_records(server, self.snapshots_of(external_id))
        options = settings.told(server, settings.read_names(self.api, settings.names_needed([server])))
        return vm_record(server, volumes, snapshots, options)

    def settle_and_read(self, external_id: str, *actions: Json | None) -> VmRecord:
        """Wait for what was begun, then the server as it is."""
        self.api.settle(*actions)
        return self.record(external_id)
