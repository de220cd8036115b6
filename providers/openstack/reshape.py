"""Updates: flavor, name, description, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import Conflict, InvalidRequest, NotSupported, OptionsRecord, OutOfCapacity, Reshape, VmRecord
from providers.openstack.errors import vendor_calls
from providers.openstack.part import MARK
from providers.openstack.servers import ServerPart, failure
from providers.openstack.service import Json

_ONLY_FLAVORS = "Sizes are those of the flavors here; choose another flavor."


class OpenStackReshape(ServerPart, Reshape):
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        raise NotSupported(_ONLY_FLAVORS)

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        raise NotSupported(_ONLY_FLAVORS)

    def set_flavor(self, external_id: str, flavor: str) -> VmRecord:
        """Nova moves the VM to where it fits and waits for a word that all is well, which is given at once.

        A running VM is restarted by it.
        """
        with vendor_calls():
            wanted, server = self.flavor(flavor), self.server(external_id)
            if (server.get("flavor") or {}).get("original_name") == wanted["name"]:
                return self.record_of(server)
            if server["status"] not in ("ACTIVE", "SHUTOFF"):
                raise Conflict("Start or stop the VM first.", server["status"])
            before = server["status"]
            self.act(external_id, "resize", {"flavorRef": wanted["id"]})
            self.wait(lambda: self._resized(external_id), "Changing the flavor")
            self.act(external_id, "confirmResize")
            return self.record_of(self.wait_state(external_id, before, what="Changing the flavor"))

    def rename(self, external_id: str, name: str) -> VmRecord:
        with vendor_calls():
            self.check_name(name, but=external_id)
            return self._changed(external_id, {"name": name})

    def set_description(self, external_id: str, description: str) -> VmRecord:
        with vendor_calls():
            return self._changed(external_id, {"description": description or None})

    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord:
        raise NotSupported("The cloud starts VMs with their hosts, or not, as it is set up.")

    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        if key == MARK:
            raise InvalidRequest("This key is the portal's own.", field="key")
        with vendor_calls():
            path = f"/servers/{external_id}/metadata"
            server = self.server(external_id)
            if value is not None:
                self.cloud.compute.post(path, {"metadata": {key: value}})
            elif key in (server.get("metadata") or {}):
                self.cloud.compute.delete(f"{path}/{key}")
            return self.record(external_id)

    def options(self, external_id: str) -> OptionsRecord:
        raise NotSupported

    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        raise NotSupported("Options are chosen when the VM is made.")

    def remove_cloud_init(self, external_id: str) -> VmRecord:
        raise NotSupported("Nova keeps first-boot data as long as the VM.")

    def _changed(self, external_id: str, change: Json) -> VmRecord:
        self.server(external_id)
        return self.record_of(self.cloud.compute.put(f"/servers/{external_id}", {"server": change})["server"])

    def _resized(self, external_id: str) -> bool | None:
        server = self.server(external_id)
        if server["status"] == "VERIFY_RESIZE":
            return True
        if server["status"] == "ERROR":
            raise failure(server)
        if server["status"] in ("ACTIVE", "SHUTOFF") and server.get("OS-EXT-STS:task_state") is None:
            # It came back as it was: no host had room.
            raise OutOfCapacity("No host of the cloud has room for this flavor.", str(server.get("fault") or ""))
        return None
