"""Changes of servers: size, name, labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import AlreadyExists, Conflict, NotFound, NotSupported, OptionsRecord, PowerState, Reshape, VmRecord
from providers.hcloud import labels, settings
from providers.hcloud.creation import check_name, read_options
from providers.hcloud.part import Part
from providers.hcloud.records import power_of

BY_FLAVOR = "VMs at Hetzner have one of its sizes; change the size instead."


class HcloudReshape(Part, Reshape):
    def set_flavor(self, external_id: str, flavor: str) -> VmRecord:
        """The disk keeps its size, so that the VM can become smaller again."""
        server = self.server(external_id)
        if self.api.named("server_types", flavor) is None:
            raise NotFound(f"Hetzner does not offer the size “{flavor}”.")
        if server["server_type"]["name"] == flavor:
            return self.record(external_id)
        if power_of(server) is not PowerState.STOPPED:
            raise Conflict("Stop the VM first.")
        body = {"server_type": flavor, "upgrade_disk": False}
        return self.settle_and_read(
            external_id, self.api.post(f"/servers/{external_id}/actions/change_type", body)["action"]
        )

    def rename(self, external_id: str, name: str) -> VmRecord:
        check_name(name)
        try:
            self.api.put(f"/servers/{external_id}", {"name": name})
        except AlreadyExists as exc:
            raise AlreadyExists(f"There is a VM called “{name}” already.", exc.detail) from exc
        return self.record(external_id)

    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        """Labels are written as a whole, so that they are read first."""
        told = dict(self.server(external_id)["labels"])
        told.pop(labels.key(key), None)
        if value is not None:
            told |= labels.labels_of({key: value})
        self.api.put(f"/servers/{external_id}", {"labels": told})
        return self.record(external_id)

    def options(self, external_id: str) -> OptionsRecord:
        return settings.record(self.api, self.server(external_id))

    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        """Those that are named and differ, each by an action of its own."""
        server = self.server(external_id)
        before = settings.record(self.api, server).pending
        settings.change(self.api, server, read_options({**before, **options}), options)
        return self.record(external_id)

    # -- what the platform has no words for -------------------------------------------------------------------------

    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        raise NotSupported(BY_FLAVOR)

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        raise NotSupported(BY_FLAVOR)

    def set_description(self, external_id: str, description: str) -> VmRecord:
        raise NotSupported("VMs at Hetzner have labels, and no description.")

    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord:
        raise NotSupported("VMs at Hetzner always start again with their host.")

    def remove_cloud_init(self, external_id: str) -> VmRecord:
        raise NotSupported("User data stays with a VM at Hetzner as long as it lives.")
