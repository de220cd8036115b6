"""Making a VM: look up, make volumes, reserve cards, boot, wait, stop if it is not to run. Undone when anything fails.

Everything that is made carries the portal's uuid, so that what a killed worker left can be found (`Leftovers`).
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from ipaddress import ip_interface
from typing import Any

from providers.base import QUIET, CloudInit, InvalidRequest, NicSpec, NotFound, Progress, VmRecord, VmSpec
from providers.guest.cloudinit import host_name, user_data
from providers.openstack.blocks import VolumePart, least_gib
from providers.openstack.connection import Cloud
from providers.openstack.floating import FloatingPart
from providers.openstack.options import read_options
from providers.openstack.part import MARK, mark_of
from providers.openstack.servers import ServerPart
from providers.openstack.service import Json

logger = logging.getLogger(__name__)

#: Nova's limit for user data, in bytes after base64 (nova.api.openstack.compute.schemas.servers).
_MOST_USER_DATA = 65535
_MOST_METADATA = 255
#: From this microversion on the guest's name need not be that of the server.
_TAKES_HOSTNAME = (2, 90)


class Creation(FloatingPart, VolumePart):
    """One creation on its way; `run` returns the VM or leaves nothing behind."""

    def __init__(self, cloud: Cloud, spec: VmSpec, progress: Progress = QUIET) -> None:
        super().__init__(cloud)
        self.spec = spec
        self.progress = progress
        self.options = read_options(spec.options)
        self._undo: list[Callable[[], object]] = []

    def run(self, sources: Sequence[Json] = ()) -> VmRecord:
        """`sources`: volumes whose copies its disks become, in place of the spec's disks."""
        spec, progress = self.spec, self.progress
        progress.report(5, "Checking the request.")
        existing = self.server_marked(spec.portal_uuid)
        if existing is not None:
            return self.record_of(self._settled(existing["id"]))
        self._check()
        self.check_name(spec.name)
        flavor = self._flavor()
        self._check_networks()
        try:
            progress.checkpoint()
            devices, image = self._copied(sources) if sources else self._disks(flavor)
            progress.checkpoint()
            progress.report(50, "Plugging in the network.")
            cards = [self._card(nic) for nic in spec.nics]
            progress.checkpoint()
            progress.report(60, "Starting the VM.")
            server_id = self._boot(flavor, devices, image, cards)
            progress.checkpoint()
            server = self._settled(server_id)
            if self.options.floating_address:
                progress.report(90, "Giving it a floating address.")
                self._floating(server_id)
            progress.checkpoint()
            record = self.record_of(server if not self.options.floating_address else self.server(server_id))
        except BaseException:
            self._take_back()
            raise
        progress.report(100, "Created.")
        return record

    # -- looking up -------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        spec = self.spec
        if spec.firmware:
            raise InvalidRequest("The image decides about firmware here.", field="firmware")
        if spec.iso:
            raise InvalidRequest("A VM cannot be started from an ISO image here; use a disk image.", field="iso")
        for key, value in spec.metadata.items():
            if len(value) > _MOST_METADATA:
                raise InvalidRequest(f"“{key}” is longer than {_MOST_METADATA} characters.", field="metadata")
        for number, disk in enumerate(spec.disks):
            if disk.bus or disk.cache or disk.read_only:
                raise InvalidRequest("The cloud decides about bus and cache of a disk.", field="disks")
            if number and disk.image:
                raise InvalidRequest("Only the first disk can begin with an image.", field="disks")

    def _flavor(self) -> Json:
        """The named one, or the smallest that has what is asked for."""
        spec = self.spec
        if spec.flavor:
            return self.flavor(spec.flavor)
        fitting = [each for each in self.flavors() if each["vcpus"] >= spec.vcpus and each["ram"] >= spec.memory_mib]
        if not fitting:
            raise InvalidRequest("No flavor has so many vCPUs and so much memory.", field="flavor")
        return min(fitting, key=lambda each: (each["ram"], each["vcpus"], each.get("disk") or 0))

    def _check_networks(self) -> None:
        wanted = {nic.network for nic in self.spec.nics}
        if not wanted:
            return
        found = {each["id"] for each in self.cloud.network.all("/networks", "networks", id=sorted(wanted))}
        for missing in sorted(wanted - found):
            raise NotFound("The network does not exist any more.", missing, field="nics")

    # -- making -----------------------------------------------------------------------------------------------------

    def _disks(self, flavor: Json) -> tuple[list[Json], str]:
        """Nova's block devices, and the image where it boots from a disk of the host."""
        spec, devices, image = self.spec, [], ""
        for number, disk in enumerate(spec.disks):
            self.progress.report(10 + 35 * number // len(spec.disks), f"Making disk {number + 1}.")
            if disk.volume:
                volume = self.volume(disk.volume)
                devices.append(_device(volume["id"], number, is_own=False))
                continue
            source: Json = {}
            size = disk.size_gib or 1
            if disk.image:
                found = self.image(disk.image)
                least = least_gib(found)
                if self._boots_from_image:
                    self._check_root(flavor, disk.size_gib, least)
                    image = found["id"]
                    continue
                if disk.size_gib is not None and disk.size_gib < least:
                    raise InvalidRequest(f"The image needs a disk of {least} GiB.", field="disks")
                size, source = max(size, least), {"imageRef": found["id"]}
            devices.append(self._made(number, size, disk.name, disk.pool, bootable=number == 0, **source))
        return devices, image

    @property
    def _boots_from_image(self) -> bool:
        return self.cloud.volume is None or (self.options.boot_from or self.config.boot_from) == "image"

    def _check_root(self, flavor: Json, wanted_gib: int | None, least: int) -> None:
        room = int(flavor.get("disk") or 0)
        if room and max(wanted_gib or 0, least) > room:
            raise InvalidRequest(
                f"The flavor “{flavor['name']}” has a disk of {room} GiB, which is too small.", field="flavor"
            )

    def _copied(self, sources: Sequence[Json]) -> tuple[list[Json], str]:
        devices = []
        for number, source in enumerate(sources):
            self.progress.report(10 + 35 * number // len(sources), f"Copying disk {number + 1}.")
            pool = str(source.get("volume_type") or "")
            devices.append(self._made(number, int(source["size"]), "", pool, source_volid=source["id"]))
        return devices, ""

    def _made(self, number: int, size: int, name: str, pool: str, *, bootable: bool = False, **source: Any) -> Json:
        volume = self.make_volume(
            name=name or f"{self.spec.name}-disk{number}",
            size_gib=size,
            portal_uuid=self.spec.portal_uuid,
            pool=pool,
            **source,
        )
        self._undo.append(lambda: self.drop_volume(volume["id"]))
        self.wait_volume(volume["id"], "available", what="Making the disk", progress=self.progress)
        if bootable and not source:
            # Nova starts from what is marked so only; the guest comes from the network, or is put there later.
            self.cinder.post(f"/volumes/{volume['id']}/action", {"os-set_bootable": {"bootable": True}})
        return _device(volume["id"], number, is_own=True)

    def _card(self, nic: NicSpec) -> Json:
        """What Nova is told of a card: a port of ours where the card has a wish that only Neutron understands."""
        addresses = [str(ip_interface(text).ip) for text in (nic.address, nic.address6) if text]
        if not nic.mac and len(addresses) < 2:
            return {"uuid": nic.network, **({"fixed_ip": addresses[0]} if addresses else {})}
        wish: Json = {
            "network_id": nic.network,
            "name": self.spec.name,
            "description": mark_of(self.spec.portal_uuid),
        }
        if nic.mac:
            wish["mac_address"] = nic.mac
        if addresses:
            wish["fixed_ips"] = [{"ip_address": address} for address in addresses]
        if self.options.security_groups:
            wish["security_groups"] = [self._group_id(name) for name in self.options.security_groups]
        port = self.cloud.network.post("/ports", {"port": wish})["port"]
        self._undo.append(lambda: self.drop(f"/ports/{port['id']}"))
        return {"port": port["id"]}

    def _group_id(self, name: str) -> str:
        for group in self.cloud.network.all("/security-groups", "security_groups", project_id=self.cloud.project_id):
            if name in (group["id"], group["name"]):
                return str(group["id"])
        raise NotFound(f"There is no security group “{name}”.", field="options")

    def _boot(self, flavor: Json, devices: list[Json], image: str, cards: list[Json]) -> str:
        spec = self.spec
        made_from = next((disk.image for disk in spec.disks if disk.image), "")
        wish: Json = {
            "name": spec.name,
            "flavorRef": flavor["id"],
            "networks": cards or "none",
            "metadata": {
                **spec.metadata,
                **({MARK: spec.portal_uuid} if spec.portal_uuid else {}),
                **({"kvweb_image": made_from} if made_from and not image else {}),
            },
        }
        if image:
            wish["imageRef"] = image
            root = {"boot_index": 0, "uuid": image, "source_type": "image", "destination_type": "local"}
            devices = [{**root, "delete_on_termination": True}, *devices] if devices else []
        if devices:
            wish["block_device_mapping_v2"] = devices
        if spec.description:
            wish["description"] = spec.description
        if spec.zone:
            wish["availability_zone"] = spec.zone
        if self.options.key_name:
            wish["key_name"] = self.options.key_name
        if self.options.security_groups:
            wish["security_groups"] = [{"name": name} for name in self.options.security_groups]
        if self.options.config_drive:
            wish["config_drive"] = True
        if self.cloud.compute.knows >= _TAKES_HOSTNAME:
            # Nova would make one of the name with its umlauts, which Neutron's DNS refuses on each host in turn.
            wish["hostname"] = _label(host_name(spec.cloud_init or CloudInit(), spec.name))
        marks = [mark_of(spec.portal_uuid)] if spec.portal_uuid else []
        if marks or spec.tags:
            wish["tags"] = [*marks, *spec.tags]
        if spec.cloud_init is not None and not spec.cloud_init.is_empty:
            coded = base64.b64encode(user_data(spec.cloud_init, name=spec.name).encode()).decode()
            if len(coded) > _MOST_USER_DATA:
                raise InvalidRequest("The first-boot data is too long for this cloud (48 KiB).", field="cloud_init")
            wish["user_data"] = coded
        server_id = str(self.cloud.compute.post("/servers", {"server": wish})["server"]["id"])
        self._undo.append(lambda: self.drop_server(server_id))
        return server_id

    def _settled(self, server_id: str) -> Json:
        """Wait until it runs. Nova knows no creation without a start, so one that is not to run is stopped at once."""
        what = "Starting the VM"
        server = self.wait_state(
            server_id, "ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", what=what, progress=self.progress
        )
        if self.spec.start or server["status"] != "ACTIVE":
            return server
        self.progress.report(85, "Stopping it again.")
        self.act(server_id, "os-stop")
        return self.wait_state(server_id, "SHUTOFF", what="Stopping the VM", progress=self.progress)

    def _floating(self, server_id: str) -> None:
        outside = external_network(self)
        port = next(iter(self.ports_of(server_id)), None)
        if port is None:
            raise InvalidRequest("A floating address needs a network card.", field="options")
        made = self.give_floating(port, outside, mark_of(self.spec.portal_uuid or server_id))
        self._undo.append(lambda: self.drop(f"/floatingips/{made['id']}"))

    # -- taking back ------------------------------------------------------------------------------------------------

    def _take_back(self) -> None:
        """The last first. What cannot be taken back is told in the log and found by `Machines.discard`."""
        for step in reversed(self._undo):
            try:
                step()
            except Exception as exc:
                logger.warning(
                    "After a failed creation something stayed at the cloud: %s", exc, extra={"private": True}
                )

    def drop_server(self, server_id: str) -> None:
        try:
            self.cloud.compute.delete(f"/servers/{server_id}")
        except Exception as exc:
            if getattr(exc, "status_code", 0) != 404:
                raise
        self.wait_gone(lambda: self._still_there(server_id), "Deleting the VM")

    def _still_there(self, server_id: str) -> Json:
        """A server counts as gone for everybody else while it is deleted; its volumes are free only afterwards."""
        try:
            return self.cloud.compute.get(f"/servers/{server_id}")
        except Exception as exc:
            if getattr(exc, "status_code", 0) == 404:
                raise NotFound from exc
            raise

    def drop(self, path: str) -> None:
        try:
            self.cloud.network.delete(path)
        except Exception as exc:
            if getattr(exc, "status_code", 0) != 404:
                raise


class Leftovers(Creation):
    """What a creation left that was killed: everything with the portal's mark that belongs to no VM."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud, VmSpec(name="leftovers"))

    def discard(self, portal_uuid: str) -> bool:
        """Raises nothing for what is gone already; True when something was removed."""
        found = False
        server = self.server_marked(portal_uuid)
        if server is not None:
            if server.get("status") not in ("BUILD", "ERROR"):
                return False
            self.drop_server(server["id"])
            found = True
        mark = mark_of(portal_uuid)
        for path in ("/floatingips", "/ports"):
            for each in self.cloud.network.all(path, path[1:], description=mark):
                if not each.get("device_id") and not each.get("port_id"):
                    self.drop(f"{path}/{each['id']}")
                    found = True
        if self.cloud.volume is not None:
            for volume in self.cloud.volume.all("/volumes/detail", "volumes"):
                if (volume.get("metadata") or {}).get(MARK) == portal_uuid and not volume.get("attachments"):
                    self.drop_volume(volume["id"])
                    found = True
        return found


def _label(name: str) -> str:
    """The first part of a guest's name, as Nova takes it: two letters at least."""
    label = name.partition(".")[0]
    return label if len(label) > 1 else f"vm-{label or 'x'}"


def _device(volume_id: str, index: int, *, is_own: bool) -> Json:
    return {
        "boot_index": 0 if index == 0 else -1,
        "uuid": volume_id,
        "source_type": "volume",
        "destination_type": "volume",
        "delete_on_termination": is_own,
    }


def external_network(part: ServerPart) -> Json:
    """The one that routers and floating addresses lead to; raises InvalidRequest."""
    found = part.cloud.network.all("/networks", "networks", **{"router:external": True})
    wanted = part.config.external_network
    if wanted:
        found = [each for each in found if wanted in (each["id"], each["name"])]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InvalidRequest("The cloud has no such external network.", field="external_network")
    raise InvalidRequest("There are several external networks; name one in the provider's settings.")
