"""Updates of VMs at AWS: size, name, description, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.aws import inventory, tags, types
from providers.aws.cloud import Part
from providers.aws.records import state_of
from providers.base import AlreadyExists, Conflict, InvalidRequest, NotSupported, OptionsRecord, Reshape, VmRecord

_BY_SIZE = "At AWS the size decides on CPUs and memory; choose another size."


class AwsReshape(Part, Reshape):
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        raise NotSupported(_BY_SIZE)

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        raise NotSupported(_BY_SIZE)

    def set_flavor(self, external_id: str, flavor: str) -> VmRecord:
        kind = types.named(self.cloud, flavor)
        told = self._stopped(external_id)
        if told.get("Architecture") and kind.architectures and told["Architecture"] not in kind.architectures:
            raise InvalidRequest(f"“{flavor}” does not run what is made for {told['Architecture']}.", field="flavor")
        self._change(external_id, InstanceType={"Value": kind.name})
        return inventory.vm(self.cloud, external_id)

    def rename(self, external_id: str, name: str) -> VmRecord:
        inventory.instance(self.cloud, external_id)
        if not name or not name.isprintable():
            raise InvalidRequest("A name has printable characters only.", field="name")
        other = inventory.called(self.cloud, name)
        if other is not None and other["InstanceId"] != external_id:
            raise AlreadyExists(f"There is a VM “{name}” already.", field="name")
        return self._tagged(external_id, tags.NAME, name)

    def set_description(self, external_id: str, description: str) -> VmRecord:
        inventory.instance(self.cloud, external_id)
        return self._tagged(external_id, tags.DESCRIPTION, description or None)

    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        if key == tags.NAME or key.startswith(tags.OURS):
            raise InvalidRequest(f"“{key}” is kept by the portal.", field="key")
        inventory.instance(self.cloud, external_id)
        return self._tagged(external_id, key, value)

    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord:
        raise NotSupported("AWS has no host that VMs could start with.")

    def options(self, external_id: str) -> OptionsRecord:
        raise NotSupported("The options of a VM at AWS are decided when it is made.")

    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        raise NotSupported("The options of a VM at AWS are decided when it is made.")

    def remove_cloud_init(self, external_id: str) -> VmRecord:
        """Empties the user data, which anybody in the guest can read."""
        self._stopped(external_id)
        self._change(external_id, UserData={"Value": b""})
        return inventory.vm(self.cloud, external_id)

    def _stopped(self, external_id: str) -> Mapping[str, Any]:
        told = inventory.instance(self.cloud, external_id)
        if state_of(told) != "stopped":
            raise Conflict("Stop the VM first.")
        return told

    def _change(self, external_id: str, **change: Any) -> None:
        self.cloud.ec2("modify_instance_attribute", InstanceId=external_id, **change)

    def _tagged(self, external_id: str, key: str, value: str | None) -> VmRecord:
        if value is None:
            self.cloud.ec2("delete_tags", Resources=[external_id], Tags=[{"Key": key}])
        else:
            self.cloud.ec2("create_tags", Resources=[external_id], Tags=tags.written({key: value}))
        return inventory.vm(self.cloud, external_id)
