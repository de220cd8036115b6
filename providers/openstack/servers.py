"""Servers as the services tell them, and waiting for what they become. Facets that change a VM stand on this."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from providers.base import (
    QUIET,
    AlreadyExists,
    ConsoleKind,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    Progress,
    ProviderError,
    QuotaExceeded,
    VmRecord,
)
from providers.openstack.part import Part, mark_of
from providers.openstack.records import is_deleted, vm_record
from providers.openstack.service import Json

#: A name that means the same to Nova's filter, which takes a regular expression, as to us.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
#: Flavors seldom change; an operator's new one is seen after this.
_FLAVORS_S = 60.0
#: Beyond this many volumes one list is cheaper than asking for each.
_FEW = 4
_NO_ROOM = ("No valid host", "Exceeded maximum number of retries", "no resource provider", "No space left")


class ServerPart(Part):
    # -- reading ----------------------------------------------------------------------------------------------------

    def server(self, external_id: str) -> Json:
        """Raises NotFound, also for one that is on its way out."""
        try:
            found: Json = self.cloud.compute.get(f"/servers/{external_id}")["server"]
        except ProviderError:
            raise
        except Exception as exc:
            if getattr(exc, "status_code", 0) in (400, 404):
                raise NotFound("The VM does not exist any more.", str(exc)) from exc
            raise
        if is_deleted(found):
            raise NotFound("The VM does not exist any more.", found["id"])
        return found

    def servers(self, **params: Any) -> list[Json]:
        found = self.cloud.compute.all("/servers/detail", "servers", **params)
        return [server for server in found if not is_deleted(server)]

    def servers_called(self, name: str) -> list[Json]:
        """Nova's filter is a regular expression in its database's dialect; so what it finds is looked at again."""
        params = {"name": f"^{name}$"} if _PLAIN.fullmatch(name) else {}
        return [server for server in self.servers(**params) if server.get("name") == name]

    def server_marked(self, portal_uuid: str) -> Json | None:
        """The one that was made with this uuid."""
        if not portal_uuid:
            return None
        return next(iter(self.servers(tags=mark_of(portal_uuid))), None)

    def records(self) -> Sequence[VmRecord]:
        """All of them, in one list of each service."""
        servers = self.servers()
        ports: dict[str, list[Json]] = defaultdict(list)
        for port in self.cloud.network.all("/ports", "ports", project_id=self.cloud.project_id):
            ports[port.get("device_id", "")].append(port)
        floating = floating_of(self.cloud.network.all("/floatingips", "floatingips"))
        volumes: dict[str, Json] = {}
        if self.cloud.volume is not None and any(each.get("os-extended-volumes:volumes_attached") for each in servers):
            volumes = {each["id"]: each for each in self.cloud.volume.all("/volumes/detail", "volumes")}
        return [vm_record(server, ports[server["id"]], volumes, self.console_kinds, floating) for server in servers]

    def record(self, external_id: str) -> VmRecord:
        return self.record_of(self.server(external_id))

    def record_of(self, server: Json) -> VmRecord:
        ports = self.ports_of(server["id"])
        # Nova hears of floating addresses late, or not at all; Neutron knows.
        ids = [port["id"] for port in ports]
        told = self.cloud.network.all("/floatingips", "floatingips", port_id=ids) if ids else []
        return vm_record(server, ports, self.volumes_of(server), self.console_kinds, floating_of(told))

    def ports_of(self, server_id: str) -> list[Json]:
        """In the order of their plugging in, as far as Neutron tells it."""
        found = self.cloud.network.all("/ports", "ports", device_id=server_id)
        return sorted(found, key=lambda port: str(port.get("created_at", "")))

    def volumes_of(self, server: Json) -> dict[str, Json]:
        ids = [str(each["id"]) for each in server.get("os-extended-volumes:volumes_attached", ())]
        if self.cloud.volume is None or not ids:
            return {}
        if len(ids) > _FEW:
            listed = self.cloud.volume.all("/volumes/detail", "volumes")
            return {each["id"]: each for each in listed if each["id"] in ids}
        return {each: self.cloud.volume.get(f"/volumes/{each}")["volume"] for each in ids}

    @property
    def console_kinds(self) -> frozenset[ConsoleKind]:
        kinds = {ConsoleKind.VNC} | ({ConsoleKind.SERIAL} if self.config.serial_console else set())
        return frozenset(kinds)

    def flavors(self) -> list[Json]:
        seen, known = self.cloud.cache.get("flavors", (0.0, []))
        if not known or time.monotonic() - seen > _FLAVORS_S:
            known = self.cloud.compute.all("/flavors/detail", "flavors")
            self.cloud.cache["flavors"] = (time.monotonic(), known)
        return list(known)

    def flavor(self, name: str) -> Json:
        """By its name, or its id as other tools say it; raises NotFound."""
        for known in self.flavors():
            if name in (known["name"], known["id"]):
                return known
        raise NotFound(f"There is no flavor “{name}”.", field="flavor")

    # -- checking ---------------------------------------------------------------------------------------------------

    def check_name(self, name: str, *, but: str = "") -> None:
        """Names are the portal's to keep unique: Nova takes any twice."""
        if name != name.strip():
            raise InvalidRequest("A name cannot begin or end with a blank.", field="name")
        if any(server["id"] != but for server in self.servers_called(name)):
            raise AlreadyExists(f"There is a VM “{name}” already.", field="name")

    # -- changing and waiting ---------------------------------------------------------------------------------------

    def act(self, external_id: str, action: str, body: Json | None = None) -> Json:
        """One of Nova's server actions; raises NotFound for a VM that is gone."""
        return self.cloud.compute.post(f"/servers/{external_id}/action", {action: body})

    def wait_state(
        self, external_id: str, *wanted: str, what: str, progress: Progress = QUIET, failed: str = "ERROR"
    ) -> Json:
        """The server, once its status is one of `wanted` and no task is left; raises what Nova says went wrong."""

        def look() -> Json | None:
            server = self.server(external_id)
            if server.get("status") == failed and failed not in wanted:
                raise failure(server)
            settled = server.get("OS-EXT-STS:task_state") is None
            return server if settled and server.get("status") in wanted else None

        return self.wait(look, what, progress)


def floating_of(told: Sequence[Json]) -> dict[str, str]:
    """Port → its floating address, of those that belong to one."""
    return {each["port_id"]: str(each["floating_ip_address"]) for each in told if each.get("port_id")}


def failure(server: Json) -> ProviderError:
    """Why a server is in ERROR, as an exception."""
    said = str((server.get("fault") or {}).get("message", ""))
    if any(words in said for words in _NO_ROOM):
        return OutOfCapacity("No host of the cloud has room for this VM.", said)
    if "Quota" in said or "quota" in said:
        return QuotaExceeded("The project's quota is used up.", said)
    return ProviderError("The cloud could not do this; it says that the VM is in error.", said)


def is_up(server: Json) -> bool:
    return server.get("status") in ("ACTIVE", "REBOOT", "HARD_REBOOT", "RESCUE", "PASSWORD")


def is_off(server: Json) -> bool:
    return server.get("status") in ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED")
