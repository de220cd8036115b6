"""Nova: servers and their actions, flavors, limits. States change by way of tasks, as in the real service."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from tools.peers.openstack import network, volume
from tools.peers.openstack.state import Cloud, Json, Refused, nova, now, shown

#: Action → states that allow it, task on the way, state afterwards.
ACTIONS: dict[str, tuple[frozenset[str], str, str]] = {
    "os-start": (frozenset({"SHUTOFF"}), "powering-on", "ACTIVE"),
    "os-stop": (frozenset({"ACTIVE", "ERROR"}), "powering-off", "SHUTOFF"),
    "pause": (frozenset({"ACTIVE"}), "pausing", "PAUSED"),
    "unpause": (frozenset({"PAUSED"}), "unpausing", "ACTIVE"),
    "suspend": (frozenset({"ACTIVE"}), "suspending", "SUSPENDED"),
    "resume": (frozenset({"SUSPENDED"}), "resuming", "ACTIVE"),
    "shelve": (frozenset({"ACTIVE", "SHUTOFF"}), "shelving", "SHELVED_OFFLOADED"),
    "unshelve": (frozenset({"SHELVED_OFFLOADED"}), "unshelving", "ACTIVE"),
}
#: What a server says on its serial line, where a test does not say otherwise in `_output`.
BOOT = "[    0.000000] Linux version 6.1.0\nlogin: "
POWER = {"ACTIVE": 1, "PAUSED": 3, "SHUTOFF": 4, "SUSPENDED": 4}
NAME = re.compile(r"\S(.*\S)?", re.DOTALL)

HOSTNAME = re.compile(r"[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+")


class Compute:
    def __init__(self, cloud: Cloud, address: Callable[[], str]) -> None:
        self.cloud, self.address = cloud, address

    # -- reading ----------------------------------------------------------------------------------------------------

    def server(self, server_id: str) -> Json:
        found = self.cloud.of("servers").get(server_id)
        if found is None:
            raise nova(404, f"Instance {server_id} could not be found.")
        return found

    def told(self, server: Json, *, by_old: bool = False) -> Json:
        """`by_old`: as before microversion 2.47, when flavors were told by their ids."""
        told = shown(server)
        if by_old:
            told["flavor"] = {"id": self._flavor_id(server["flavor"]["original_name"]), "links": []}
        told["addresses"] = network.addresses_of(self.cloud, server["id"])
        told["os-extended-volumes:volumes_attached"] = [
            {"id": each, "delete_on_termination": own} for each, own in server["_volumes"].items()
        ]
        told.pop("user_data", None)
        return told

    def _flavor_id(self, name: str) -> str:
        return next(str(each["id"]) for each in self.cloud.of("flavors").values() if each["name"] == name)

    def listed(self, query: Any) -> list[Json]:
        found = sorted(self.cloud.of("servers").values(), key=lambda each: -each["_tick"])
        if "tags" in query:
            found = [each for each in found if set(query["tags"].split(",")) <= set(each["tags"])]
        if "name" in query:
            found = [each for each in found if re.search(query["name"], each["name"])]
        return found

    def limits(self) -> Json:
        servers = self.cloud.of("servers").values()
        return {
            "maxTotalInstances": self.cloud.quota["instances"],
            "maxTotalCores": -1,
            "maxTotalRAMSize": 512_000,
            "totalInstancesUsed": len(servers),
            "totalCoresUsed": sum(each["flavor"]["vcpus"] for each in servers),
            "totalRAMUsed": sum(each["flavor"]["ram"] for each in servers),
        }

    # -- creating ---------------------------------------------------------------------------------------------------

    def create(self, wish: Json) -> Json:
        if not NAME.fullmatch(wish["name"]) or len(wish["name"]) > 255:
            raise nova(400, f"Invalid input for field/attribute name. Value: {wish['name']}.")
        if "hostname" in wish and not HOSTNAME.fullmatch(wish["hostname"]):
            raise nova(400, f"Invalid input for field/attribute hostname. Value: {wish['hostname']}.")
        flavor = self.cloud.of("flavors").get(str(wish["flavorRef"]))
        if flavor is None:
            raise nova(400, f"Flavor {wish['flavorRef']} could not be found.")
        zone = wish.get("availability_zone") or self.cloud.zones[0]
        if zone not in self.cloud.zones:
            raise nova(400, "The requested availability zone is not available")
        devices = wish.get("block_device_mapping_v2", [])
        if wish.get("imageRef") and wish["imageRef"] not in self.cloud.of("images"):
            raise nova(400, f"Image {wish['imageRef']} could not be found.")
        if not devices and not wish.get("imageRef"):
            raise nova(400, "Invalid imageRef provided.")
        for device in devices:
            if device["source_type"] == "volume":
                disk = self.cloud.of("volumes").get(device["uuid"])
                if disk is None or disk["status"] != "available":
                    raise nova(400, f"Block Device Mapping is Invalid: failed to get volume {device['uuid']}.")
                if device["boot_index"] == 0 and disk["bootable"] != "true":
                    raise nova(400, f"Block Device {device['uuid']} is not bootable.")
        used = len(self.cloud.of("servers"))
        refusal = nova(403, f"Quota exceeded for instances: Requested 1, but already used {used} of {used} instances")
        self.cloud.check_quota("instances", used, refusal)
        groups = [network.group_named(self.cloud, each["name"])["id"] for each in wish.get("security_groups", [])]
        server = self.cloud.new("servers", self._fresh(wish, flavor))
        try:
            for card in wish["networks"] if wish["networks"] != "none" else []:
                self._plug(server, card, groups)
        except Refused:
            network.unplug_all(self.cloud, server["id"])
            self.cloud.of("servers").pop(server["id"])
            raise
        for device in devices:
            if device["source_type"] == "volume":
                self._attach(server, device["uuid"], own=device.get("delete_on_termination", False))
        self.cloud.later(server, lambda: self._built(server))
        return {"id": server["id"], "links": [], "OS-DCF:diskConfig": "MANUAL", "adminPass": "x"}

    def _fresh(self, wish: Json, flavor: Json) -> Json:
        return {
            "name": wish["name"],
            "status": "BUILD",
            "OS-EXT-STS:task_state": "scheduling",
            "OS-EXT-STS:vm_state": "building",
            "OS-EXT-STS:power_state": 0,
            "OS-EXT-AZ:availability_zone": wish.get("availability_zone") or self.cloud.zones[0],
            "image": {"id": wish["imageRef"]} if wish.get("imageRef") else "",
            "flavor": embedded(flavor),
            "metadata": dict(wish.get("metadata", {})),
            "tags": list(wish.get("tags", [])),
            "description": wish.get("description"),
            "created": now(),
            "updated": now(),
            "key_name": wish.get("key_name"),
            "config_drive": "True" if wish.get("config_drive") else "",
            "locked": False,
            "tenant_id": self.cloud.project_id,
            "user_data": wish.get("user_data"),
            "_volumes": {},
            "_hostname": wish.get("hostname") or wish["name"],
        }

    def _plug(self, server: Json, card: Json, groups: list[str]) -> None:
        if "port" in card:
            network.bind(self.cloud, card["port"], server["id"])
            return
        if card["uuid"] not in self.cloud.of("networks"):
            raise nova(400, f"Network {card['uuid']} could not be found.")
        wish: Json = {"network_id": card["uuid"], "device_id": server["id"], "device_owner": "compute:nova"}
        if "fixed_ip" in card:
            wish["fixed_ips"] = [{"ip_address": card["fixed_ip"]}]
        if groups:
            wish["security_groups"] = groups
        network.make_port(self.cloud, {**wish, "_novas": True})

    def _built(self, server: Json) -> None:
        server["OS-EXT-STS:task_state"] = None
        # Neutron's DNS takes no other names, and Nova tries one host after the other.
        if self.cloud.host_is_full or not server["_hostname"].isascii():
            message = "No valid host was found. There are not enough hosts available."
            server |= {"status": "ERROR", "fault": {"code": 500, "message": message, "created": now()}}
        else:
            server |= {"status": "ACTIVE", "OS-EXT-STS:power_state": 1, "OS-EXT-SRV-ATTR:host": ""}

    # -- changing ---------------------------------------------------------------------------------------------------

    def act(self, server_id: str, body: Json) -> None:
        server = self.server(server_id)
        action, wish = next(iter(body.items()))
        status, task = server["status"], server["OS-EXT-STS:task_state"]
        allowed, on_the_way, afterwards = ACTIONS.get(action, (frozenset(), "", ""))
        if action == "reboot":
            allowed, on_the_way, afterwards = frozenset({"ACTIVE"}), "rebooting", "ACTIVE"
            if wish["type"] == "HARD":
                allowed |= {"SHUTOFF", "PAUSED", "SUSPENDED", "ERROR"}
        elif action == "resize":
            self._resize(server, wish)
            return
        elif action == "confirmResize":
            allowed, on_the_way, afterwards = frozenset({"VERIFY_RESIZE"}), "", server.get("_was", "ACTIVE")
        if not allowed:
            raise nova(400, f"There is no such action: {action}")
        if task is not None or status not in allowed:
            place = f"task_state {task}" if task else f"vm_state {status.lower()}"
            raise nova(409, f"Cannot '{action}' instance {server_id} while it is in {place}")
        server["OS-EXT-STS:task_state"] = on_the_way or None
        self.cloud.later(server, lambda: self._become(server, afterwards))

    def _become(self, server: Json, status: str) -> None:
        server |= {"status": status, "OS-EXT-STS:task_state": None, "OS-EXT-STS:power_state": POWER.get(status, 0)}

    def _resize(self, server: Json, wish: Json) -> None:
        flavor = self.cloud.of("flavors").get(wish["flavorRef"])
        if flavor is None:
            raise nova(400, f"Flavor {wish['flavorRef']} could not be found.")
        if server["flavor"]["original_name"] == flavor["name"]:
            raise nova(400, "When resizing, instances must change flavor!")
        server["_was"] = server["status"]

        def resized() -> None:
            server["OS-EXT-STS:task_state"] = None
            if self.cloud.host_is_full:
                server["status"] = server["_was"]
            else:
                server.update(status="VERIFY_RESIZE", flavor=embedded(flavor))

        server |= {"status": "RESIZE", "OS-EXT-STS:task_state": "resize_prep"}
        self.cloud.later(server, resized)

    def update(self, server_id: str, change: Json) -> Json:
        server = self.server(server_id)
        if "name" in change and not NAME.fullmatch(change["name"]):
            raise nova(400, "Invalid input for field/attribute name.")
        server |= change
        return self.told(server)

    def delete(self, server_id: str) -> None:
        server = self.server(server_id)
        server["OS-EXT-STS:task_state"] = "deleting"

        def gone() -> None:
            network.unplug_all(self.cloud, server_id)
            for disk, own in server["_volumes"].items():
                volume.released(self.cloud, disk, server_id)
                if own:
                    volume.delete(self.cloud, disk)
            self.cloud.kinds["servers"].pop(server_id, None)

        self.cloud.later(server, gone)

    # -- disks and cards --------------------------------------------------------------------------------------------

    def attach(self, server_id: str, wish: Json) -> Json:
        server = self.server(server_id)
        disk = self.cloud.of("volumes").get(wish["volumeId"])
        if disk is None:
            raise nova(404, f"Volume {wish['volumeId']} could not be found.")
        if disk["status"] != "available" and not disk["multiattach"]:
            raise nova(400, f"Invalid volume: volume '{disk['id']}' status must be 'available'. Currently in 'in-use'")
        self._attach(server, disk["id"], own=wish.get("delete_on_termination", False))
        return {"id": disk["id"], "volumeId": disk["id"], "serverId": server_id, "device": "/dev/vdb"}

    def _attach(self, server: Json, volume_id: str, *, own: bool) -> None:
        taken = {volume.device_of(self.cloud, each, server["id"]) for each in server["_volumes"]}
        if server["image"]:
            taken.add("/dev/vda")
        device = next(f"/dev/vd{letter}" for letter in "abcdefghijklmnop" if f"/dev/vd{letter}" not in taken)
        server["_volumes"][volume_id] = own
        volume.attached(self.cloud, volume_id, server["id"], device)

    def detach(self, server_id: str, volume_id: str) -> None:
        server = self.server(server_id)
        if volume_id not in server["_volumes"]:
            raise nova(404, f"volume_id not found: {volume_id}")
        server["_volumes"].pop(volume_id)
        volume.released(self.cloud, volume_id, server_id)

    def keep(self, server_id: str, volume_id: str, wish: Json) -> None:
        server = self.server(server_id)
        if volume_id not in server["_volumes"]:
            raise nova(404, f"volume_id not found: {volume_id}")
        server["_volumes"][volume_id] = wish["delete_on_termination"]

    def interfaces(self, server_id: str) -> list[Json]:
        self.server(server_id)
        return [
            {
                "port_id": port["id"],
                "net_id": port["network_id"],
                "mac_addr": port["mac_address"],
                "port_state": "ACTIVE",
            }
            for port in self.cloud.of("ports").values()
            if port["device_id"] == server_id
        ]

    def output(self, server_id: str, wish: Json) -> str:
        """The last so many lines; None stands for a hypervisor that keeps nothing."""
        kept = self.server(server_id).get("_output", BOOT)
        if kept is None:
            raise nova(501, "Unable to get console log, functionality not implemented.")
        said = str(kept).splitlines(keepends=True)
        return "".join(said[-int(wish["length"]) :])

    def console(self, server_id: str, wish: Json) -> Json:
        server = self.server(server_id)
        if server["status"] not in ("ACTIVE", "PAUSED"):
            raise nova(409, f"Instance {server_id} is not ready")
        base, token = self.cloud.console_url or self.address(), self.cloud.console_token or uuid.uuid4()
        url = f"{base.replace('http', 'ws')}/serial/?token={token}"
        if wish["type"] == "novnc":
            url = f"{base}/vnc_auto.html?path=%3Ftoken%3D{token}"
        return {"protocol": wish["protocol"], "type": wish["type"], "url": url}


def embedded(flavor: Json) -> Json:
    """A flavor as servers tell it from microversion 2.47 on: without its id."""
    told = {key: flavor[key] for key in ("vcpus", "ram", "disk", "swap")}
    return {**told, "ephemeral": 0, "original_name": flavor["name"], "extra_specs": {}}
