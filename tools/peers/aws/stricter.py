"""What AWS refuses and moto would take, and the time that things take at AWS: changes to moto's models.

`pace` is in seconds and may be changed at any time; instances that are on their way keep theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import instances as instance_models
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.sts.exceptions import STSClientError
from moto.sts.models import STSBackend

Replacement = TypeVar("Replacement", bound=Callable[..., Any])

#: Raw state on the way → seconds until the final one.
pace = {"pending": 0.0, "stopping": 0.0, "shutting-down": 0.0}
#: The one role that the stand-in's key may take on, and what its owner asks for.
ROLE, EXTERNAL_ID = "arn:aws:iam::123456789012:role/portal", "kvweb-test-7"
#: What moto puts where no token was given.
_UNNAMED = "ABCDE"
_BEFORE = {"running": ("pending", 0), "stopped": ("stopping", 64), "terminated": ("shutting-down", 32)}


class MovingState:
    """moto's state of an instance, which reaches its final word only after a while."""

    def __init__(self, name: str = "pending", code: int = 0) -> None:
        self._name, self._code = "", code
        self._moving, self._until = ("", 0), 0.0
        self.name = name

    @property
    def name(self) -> str:
        return self._moving[0] if time.monotonic() < self._until else self._name

    @name.setter
    def name(self, value: str) -> None:
        if value != self._name and value in _BEFORE:
            self._moving = _BEFORE[value]
            self._until = time.monotonic() + pace[self._moving[0]]
        self._name = value

    @property
    def code(self) -> int:
        return self._moving[1] if time.monotonic() < self._until else self._code

    @code.setter
    def code(self, value: int) -> None:
        self._code = value


def refuse(code: str, message: str) -> None:
    raise EC2ClientError(code, message)


def around(owner: Any, name: str) -> Callable[[Replacement], Replacement]:
    """Replace a method by one that gets the former as its first argument."""

    def put(new: Replacement) -> Replacement:
        old = getattr(owner, name)

        @wraps(old)
        def changed(self: Any, *args: Any, **kwargs: Any) -> Any:
            return new(old, self, *args, **kwargs)

        setattr(owner, name, changed)
        return new

    return put


def apply() -> None:
    """Once per process, before the first request."""
    instance_models.InstanceState = MovingState  # type: ignore[misc,assignment]
    backend = instance_models.InstanceBackend

    @around(backend, "run_instances")
    def run_instances(old: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        token, known = kwargs.get("client_token"), vars(self).setdefault("_known_tokens", {})
        if token in known:
            return known[token]
        # moto's own switch for this refuses those without a key, too.
        if kwargs.get("key_name") and kwargs["key_name"] not in self.keypairs:
            refuse("InvalidKeyPair.NotFound", f"The key pair '{kwargs['key_name']}' does not exist")
        made = old(self, *args, **kwargs)
        if token and token != _UNNAMED:
            known[token] = made
        return made

    @around(backend, "start_instances")
    def start_instances(old: Any, self: Any, instance_ids: list[str]) -> Any:
        for one in self.get_multi_instances_by_id(instance_ids):
            if one.state not in {"stopped", "running", "pending"}:
                refuse(
                    "IncorrectInstanceState", f"The instance '{one.id}' is not in a state from which it can be started."
                )
        return old(self, instance_ids)

    @around(backend, "stop_instances")
    def stop_instances(old: Any, self: Any, instance_ids: list[str]) -> Any:
        for one in self.get_multi_instances_by_id(instance_ids):
            if one.state in {"pending", "terminated", "shutting-down"}:
                refuse(
                    "IncorrectInstanceState", f"The instance '{one.id}' is not in a state from which it can be stopped."
                )
        return old(self, instance_ids)

    @around(backend, "modify_instance_attribute")
    def modify_instance_attribute(old: Any, self: Any, instance_id: str, key: str, value: Any) -> Any:
        if key in {"instance_type", "user_data"} and self.get_instance(instance_id).state != "stopped":
            refuse("IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'stopped' state.")
        return old(self, instance_id, key, value)

    @around(EBSBackend, "attach_volume")
    def attach_volume(old: Any, self: Any, volume_id: str, instance_id: str, device_path: str, *args: Any) -> Any:
        volume = self.get_volume(volume_id)
        if volume.attachment is not None:
            refuse("VolumeInUse", f"{volume_id} is already attached to an instance")
        instance = self.get_instance(instance_id)
        if volume.zone.name != instance.availability_zone:
            refuse("InvalidVolume.ZoneMismatch", "The volume is not in the same availability zone as the instance")
        if device_path in instance.block_device_mapping:
            refuse("InvalidParameterValue", f"Invalid value '{device_path}' for unixDevice. Attachment point is in use")
        return old(self, volume_id, instance_id, device_path, *args)

    @around(AmiBackend, "create_image")
    def create_image(
        old: Any, self: Any, instance_id: str, name: str, description: str, tag_specifications: list[Any]
    ) -> Any:
        if any(ami.name == name and ami.owner_id == self.account_id for ami in self.amis.values()):
            refuse("InvalidAMIName.Duplicate", f"AMI name {name} is already in use")
        instance = self.get_instance(instance_id)
        made = old(
            self, instance_id, name, description, [one for one in tag_specifications if one["ResourceType"] == "image"]
        )
        made.root_device_name = instance.root_device_name
        root = instance.block_device_mapping.get(instance.root_device_name)
        if root is not None:
            made.ebs_snapshot.volume = self.get_volume(root.volume_id)
        for one in tag_specifications:
            if one["ResourceType"] == "snapshot":
                for tag in one["Tags"]:
                    made.ebs_snapshot.add_tag(tag["Key"], tag["Value"])
        return made

    def block_device_mappings(self: Any) -> list[dict[str, Any]]:
        return [
            {
                "DeviceName": self.root_device_name,
                "Ebs": {
                    "SnapshotId": self.ebs_snapshot.id,
                    "VolumeSize": self.ebs_snapshot.volume.size,
                    "DeleteOnTermination": True,
                    "VolumeType": "gp3",
                },
            }
        ]

    Ami.block_device_mappings = property(block_device_mappings)  # type: ignore[assignment,method-assign]

    @around(InstanceResponse, "describe_instances")
    def describe_instances(old: Any, self: Any) -> Any:
        """Who asks for no page size gets a thousand at AWS, and a hundred at moto."""
        asked = self._get_param

        def get_param(name: str, if_none: Any = None) -> Any:
            return asked(name, 1000 if name == "MaxResults" else if_none)

        self._get_param = get_param
        try:
            return old(self)
        finally:
            del self._get_param

    @around(STSBackend, "assume_role")
    def assume_role(old: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("role_arn") != ROLE or kwargs.get("external_id") != EXTERNAL_ID:
            raise STSClientError("AccessDenied", "User: kvweb is not authorized to perform: sts:AssumeRole")
        return old(self, *args, **kwargs)

    def association(self: Any) -> dict[str, Any]:
        """moto says of every public address that the account owns it."""
        if not self.public_ip:
            return {}
        found = next(iter(self.ec2_backend.address_by_ip([self.public_ip], fail_if_not_found=False)), None)
        told = {"PublicIp": self.public_ip, "IpOwnerId": (found and self.ec2_backend.account_id) or "amazon"}
        return told | ({"AllocationId": found.allocation_id, "AssociationId": found.association_id} if found else {})

    NetworkInterface.association = property(association)  # type: ignore[assignment,method-assign]

    @around(ElasticAddressBackend, "release_address")
    def release_address(old: Any, self: Any, address: Any = None, allocation_id: Any = None) -> Any:
        for one in self.addresses:
            if allocation_id and one.allocation_id == allocation_id and one.association_id:
                refuse("InvalidIPAddress.InUse", f"Address {one.public_ip} is in use.")
        return old(self, address=address, allocation_id=allocation_id)

    @around(SecurityGroupBackend, "delete_security_group")
    def delete_security_group(old: Any, self: Any, name: Any = None, group_id: Any = None) -> Any:
        for one in self.all_instances():
            groups = [*one.security_groups, *(group for nic in one.nics.values() for group in nic.group_set)]
            if one.state != "terminated" and any(getattr(each, "id", each) == group_id for each in groups):
                refuse("DependencyViolation", f"resource {group_id} has a dependent object")
        return old(self, name, group_id)
