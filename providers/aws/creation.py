"""Making a VM: everything is looked up first, one call makes it with disks and cards, and what fails then is undone.

Until the last step the VM carries a tag that says that it is being built; such a one is not listed. AWS starts every
new VM; one that shall be off is switched off at once.
"""

from __future__ import annotations

import gzip
import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from providers.aws import inventory, placement, tags, types
from providers.aws.cloud import Cloud
from providers.aws.config import AwsOptions
from providers.aws.lifecycle import gone, in_state
from providers.aws.plugging import attach, check_disk, free_devices
from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    Progress,
    ProviderError,
    Transient,
    VmRecord,
    VmSpec,
)
from providers.guest.cloudinit import user_data

logger = logging.getLogger(__name__)

MOST_USER_DATA = 16_384
START_S = 600.0
JOB = "kvweb:job"


class Creation:
    """One creation on its way; `run` returns the VM or leaves nothing behind."""

    def __init__(self, cloud: Cloud, spec: VmSpec, progress: Progress = QUIET) -> None:
        self.cloud, self.spec, self.progress = cloud, spec, progress
        self.options = read_options(spec)
        #: Names this attempt: AWS makes nothing twice for it, and everything made carries it.
        self.job = uuid.uuid4().hex
        self.instance_id = ""
        self.places: list[placement.Place] = []

    def run(self) -> VmRecord:
        self.progress.report(5, "Checking the request.")
        check(self.spec)
        existing = self._existing()
        if existing is not None:
            return inventory.vm(self.cloud, existing["InstanceId"], existing)
        try:
            return self._build()
        except BaseException:
            self._undo()
            raise

    def _existing(self) -> Mapping[str, Any] | None:
        """The VM that an earlier run of this job made; raises AlreadyExists for a name that is taken."""
        spec = self.spec
        words = [spec.name, spec.portal_uuid] if spec.portal_uuid else [spec.name]
        found = inventory.instances(self.cloud, *tags.filters(tag_value=words))
        for one in found:
            own = tags.read(one)
            if not spec.portal_uuid or own.get(tags.UUID) != spec.portal_uuid:
                continue
            if tags.BUILDING not in own:
                return one
            # Its worker died; what it had begun is begun anew.
            remove(self.cloud, one["InstanceId"])
            found = [each for each in found if each is not one]
        if any(tags.read(one).get(tags.NAME) == spec.name for one in found):
            raise AlreadyExists(f"There is a VM “{spec.name}” already.", field="name")
        return None

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _build(self) -> VmRecord:
        cloud, spec = self.cloud, self.spec
        image = image_of(cloud, spec.disks[0].image if spec.disks else "")
        kind = self._type(image)
        self.places = placement.places(cloud, spec.nics, zone=self._zone(), subnet=self.options.subnet)
        request = self._request(image, kind)
        self.progress.checkpoint()
        self.progress.report(25, "Asking AWS for the VM.")
        made = cloud.ec2("run_instances", **request)["Instances"][0]
        self.instance_id = made["InstanceId"]
        self.progress.checkpoint()
        self.progress.report(45, "Waiting until it runs.")
        told = in_state(cloud, self.instance_id, "running", timeout_s=START_S, progress=self.progress)
        self.progress.checkpoint()
        for number, disk in enumerate(disk for disk in spec.disks if disk.volume):
            self.progress.report(60 + min(number, 10), "Attaching volumes.")
            attach(cloud, told, disk.volume, owned=False, progress=self.progress)
            told = inventory.raw_instance(cloud, self.instance_id) or told
        if not spec.start:
            self.progress.report(75, "AWS starts every new VM; switching it off.")
            cloud.ec2("stop_instances", InstanceIds=[self.instance_id], Force=True)
            told = in_state(cloud, self.instance_id, "stopped", timeout_s=START_S, progress=self.progress)
        self.progress.checkpoint()
        self.progress.report(95, "Finishing.")
        cloud.ec2("delete_tags", Resources=[self.instance_id], Tags=[{"Key": tags.BUILDING}])
        record = inventory.vm(cloud, self.instance_id, told)
        self.progress.report(100, "The VM is there.")
        return record

    def _zone(self) -> str:
        """The zone that was asked for, in any of the ways in which it can be."""
        named = {self.spec.zone, *(disk.pool for disk in self.spec.disks)} - {""}
        if len(named) > 1:
            raise InvalidRequest(
                f"A VM and its disks are in one zone; named are {', '.join(sorted(named))}.", field="zone"
            )
        return next(iter(named), "")

    def _type(self, image: Mapping[str, Any]) -> types.InstanceType:
        architecture = str(image.get("Architecture") or "x86_64")
        if not self.spec.flavor:
            return types.fitting(self.cloud, self.spec.vcpus, self.spec.memory_mib, architecture)
        kind = types.named(self.cloud, self.spec.flavor)
        if kind.architectures and architecture not in kind.architectures:
            raise InvalidRequest(
                f"The image is made for {architecture}, which “{kind.name}” does not run.", field="flavor"
            )
        return kind

    def _request(self, image: Mapping[str, Any], kind: types.InstanceType) -> dict[str, Any]:
        """The one call that makes it, as data."""
        spec, options = self.spec, self.options
        request: dict[str, Any] = {
            "ImageId": image["ImageId"],
            "InstanceType": kind.name,
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": self.job,
            "BlockDeviceMappings": self._disks(image),
            "NetworkInterfaces": self._cards(),
            "TagSpecifications": [
                *tags.on("instance", self._tags()),
                *tags.on("volume", {tags.NAME: spec.name, JOB: self.job}),
                *tags.on("network-interface", {tags.NAME: spec.name, JOB: self.job}),
            ],
            # Programs in the guest must ask for a token before they are told the role's keys.
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        }
        text = user_data(spec.cloud_init, name=spec.name) if spec.cloud_init is not None else ""
        if text:
            request["UserData"] = packed(text)
        if options.key_pair:
            request["KeyName"] = options.key_pair
        if options.instance_profile:
            request["IamInstanceProfile"] = {"Name": options.instance_profile}
        if options.protected:
            request["DisableApiTermination"] = True
        return request

    def _tags(self) -> dict[str, str]:
        spec = self.spec
        own = {tags.NAME: spec.name, tags.BUILDING: "yes", JOB: self.job}
        own |= {tags.UUID: spec.portal_uuid} if spec.portal_uuid else {}
        own |= {tags.DESCRIPTION: spec.description} if spec.description else {}
        own |= {tags.TAGS: ",".join(spec.tags)} if spec.tags else {}
        return {**spec.metadata, **own}

    def _disks(self, image: Mapping[str, Any]) -> list[dict[str, Any]]:
        root = str(image.get("RootDeviceName") or "/dev/xvda")
        least = root_size(image)
        taken = [root, *(one.get("DeviceName", "") for one in image.get("BlockDeviceMappings") or ())]
        devices = iter(free_devices(taken))
        found = []
        for number, disk in enumerate(self.spec.disks):
            if disk.volume:
                continue
            if number == 0 and disk.size_gib is not None and disk.size_gib < least:
                raise InvalidRequest(f"The image needs a disk of {least} GiB.", field="size_gib")
            size = (disk.size_gib or least) if number == 0 else disk.size_gib
            if size is None:
                raise InvalidRequest("A disk without image needs a size.", field="size_gib")
            ebs: dict[str, Any] = {
                "VolumeSize": size,
                "VolumeType": disk.format or self.options.volume_type or "gp3",
                "DeleteOnTermination": True,
            }
            if self.options.encrypted:
                ebs["Encrypted"] = True
            found.append({"DeviceName": root if number == 0 else next(devices), "Ebs": ebs})
        return found

    def _cards(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        groups: dict[str, list[str]] = {}
        for number, place in enumerate(self.places):
            nic = self.spec.nics[number] if self.spec.nics else None
            if place.network not in groups:
                groups[place.network] = placement.group_ids(self.cloud, self.options.security_groups, place.network)
            card: dict[str, Any] = {
                "DeviceIndex": number,
                "SubnetId": place.subnet,
                "DeleteOnTermination": True,
            }
            if groups[place.network]:
                card["Groups"] = groups[place.network]
            if nic is not None and nic.address:
                card["PrivateIpAddress"] = nic.address.partition("/")[0]
            if nic is not None and nic.address6:
                card["Ipv6Addresses"] = [{"Ipv6Address": nic.address6.partition("/")[0]}]
            # AWS gives public addresses to VMs with one card only.
            if len(self.places) == 1 and self.options.public_address:
                card["AssociatePublicIpAddress"] = self.options.public_address == "yes"
            found.append(card)
        return found

    # -- undoing -------------------------------------------------------------------------------------------------------

    def _undo(self) -> None:
        """Take away what was made; what that meets is noted, and the first error is the one that counts."""
        try:
            found = [self.instance_id] if self.instance_id else self._begun()
            for external_id in found:
                remove(self.cloud, external_id)
        except ProviderError as exc:
            logger.warning("An unfinished VM could not be taken back: %s (%s)", exc.reason, exc.detail)
        for place in self.places:
            if place.is_new:
                with suppress(ProviderError):
                    self.cloud.ec2("delete_subnet", SubnetId=place.subnet)

    def _begun(self) -> list[str]:
        """What was made although the answer was lost on its way."""
        return [one["InstanceId"] for one in inventory.instances(self.cloud, tags.tagged(JOB, self.job))]


def check(spec: VmSpec) -> None:
    """What can be refused without asking AWS."""
    if not spec.name.isprintable():
        raise InvalidRequest("A name has printable characters only.", field="name")
    if spec.iso:
        raise NotSupported("AWS does not start VMs from ISO images.", field="iso")
    if spec.firmware:
        raise InvalidRequest("At AWS the image decides on the firmware.", field="firmware")
    if spec.autostart:
        raise InvalidRequest("AWS has no host that VMs could start with.", field="autostart")
    if not spec.disks or not spec.disks[0].image:
        raise InvalidRequest("A VM at AWS begins with an image on its first disk.", field="disks")
    for number, disk in enumerate(spec.disks):
        check_disk(disk, with_image=number == 0)
    for nic in spec.nics:
        if nic.mac or nic.model or nic.filter or nic.isolated or nic.vlan is not None:
            raise InvalidRequest("At AWS a card has the MAC, model and filter that AWS gives it.", field="nics")
    for key, value in spec.metadata.items():
        tags.check(key, value)


def read_options(spec: VmSpec) -> AwsOptions:
    """The typed options of a spec; raises InvalidRequest that names the wrong one."""
    try:
        return AwsOptions.model_validate(dict(spec.options))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"The option “{field}” is not accepted: {first['msg']}.", field="options") from None


def image_of(cloud: Cloud, external_id: str) -> Mapping[str, Any]:
    """One image that VMs can be made of; raises NotFound."""
    if not external_id.startswith("ami-"):
        raise NotFound("The image does not exist any more.", field="image")
    try:
        found = cloud.ec2("describe_images", ImageIds=[external_id]).get("Images") or ()
    except (NotFound, InvalidRequest) as exc:
        raise NotFound("The image does not exist any more.", exc.detail, field="image") from exc
    if not found:
        raise NotFound("The image does not exist any more.", field="image")
    image: Mapping[str, Any] = found[0]
    if image.get("State") != "available":
        raise Conflict("The image is not ready yet.")
    return image


def root_size(image: Mapping[str, Any]) -> int:
    root = image.get("RootDeviceName")
    sizes = [
        int(one["Ebs"].get("VolumeSize") or 0)
        for one in image.get("BlockDeviceMappings") or ()
        if one.get("Ebs") and one.get("DeviceName") == root
    ]
    return max([1, *sizes])


def packed(text: str) -> str | bytes:
    """User data as AWS takes it: as it is, or packed, which cloud-init unpacks; raises InvalidRequest for too much."""
    if len(text.encode()) <= MOST_USER_DATA:
        return text
    small = gzip.compress(text.encode(), mtime=0)
    if len(small) > MOST_USER_DATA:
        raise InvalidRequest(
            "AWS takes 16 KiB of first-boot data, and this is more even when packed.", field="cloud_init"
        )
    return small


def remove(cloud: Cloud, external_id: str) -> None:
    """Terminate what was half made, and wait until it is gone with its disks."""
    for protected in (False, True):
        try:
            if protected:
                cloud.ec2("modify_instance_attribute", InstanceId=external_id, DisableApiTermination={"Value": False})
            cloud.ec2("terminate_instances", InstanceIds=[external_id])
        except NotFound:
            return
        except Conflict:
            if protected:
                raise
            continue
        break
    with suppress(NotFound, Transient):
        gone(cloud, external_id, timeout_s=120.0)


__all__ = ["Creation", "image_of", "packed", "read_options", "remove", "root_size"]
