"""Making a server: check, make it without starting where more is to come, plug in, start; undone when anything fails.

Until it is complete the server carries the label `labels.MAKING`. Undoing looks for that label and not for ids that it
remembers: a request whose answer was lost may have made something too.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_interface
from typing import Any

from pydantic import ValidationError

from providers.base import (
    QUIET,
    AlreadyExists,
    CloudInit,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NicSpec,
    NotFound,
    Progress,
    ProviderError,
    VmSpec,
)
from providers.guest.cloudinit import user_data
from providers.hcloud import labels, settings
from providers.hcloud.api import Api, Json, attempt_all
from providers.hcloud.config import HcloudOptions
from providers.hcloud.records import PUBLIC

SMALLEST_VOLUME_GIB, LARGEST_VOLUME_GIB = 10, 10_240
#: 32 KiB: https://docs.hetzner.cloud/reference/cloud#servers-create-a-server
MOST_USER_DATA = 32 * 1024
#: How long an undo waits for what is still being done to a server.
UNDO_S = 120.0
#: Options that are set when the server is there.
_AFTERWARDS = frozenset({"floating_ips", "backups", "protected"})
_HOST_NAME = re.compile(
    r"(?=.{1,63}$)[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*", re.ASCII
)


class Creation:
    """One creation on its way; `run` returns the server's id or leaves nothing behind."""

    def __init__(self, api: Api, spec: VmSpec, progress: Progress = QUIET) -> None:
        self.api, self.spec, self.progress = api, spec, progress
        self.options = read_options(spec.options)
        self.mark = uuid.uuid4().hex
        self.zone = spec.zone or api.config.location
        self.publics = [nic for nic in spec.nics if nic.network == PUBLIC]
        self.privates = [nic for nic in spec.nics if nic.network != PUBLIC]

    def run(self) -> str:
        self.progress.report(5, "Checking the request.")
        self._check()
        existing = self._existing()
        if existing:
            return existing
        body = self._body()
        self.progress.checkpoint()
        self.progress.report(20, "Making the server.")
        try:
            return self._make(body)
        except BaseException:
            # Whatever else goes wrong now, the first error is the one to be told.
            with suppress(ProviderError):
                clear_away(self.api, f"{labels.MAKING}={self.mark}")
            raise

    # -- before anything is made ------------------------------------------------------------------------------------

    def _check(self) -> None:
        spec = self.spec
        check_name(spec.name)
        if not spec.flavor:
            raise InvalidRequest("Choose one of the sizes that Hetzner offers.", field="flavor")
        for name in ("iso", "firmware", "description"):
            if getattr(spec, name):
                raise InvalidRequest(f"Hetzner Cloud takes no {name} for a new VM.", field=name)
        if not spec.disks or not spec.disks[0].image:
            raise InvalidRequest("A VM at Hetzner begins with an image.", field="image")
        check_disk(spec.disks[0], is_first=True)
        for disk in spec.disks[1:]:
            check_disk(disk)
        if len(self.publics) > 1 or len({nic.network for nic in self.privates}) < len(self.privates):
            raise InvalidRequest("A VM can be in each network once.", field="nics")
        for nic in spec.nics:
            check_nic(nic)

    def _existing(self) -> str:
        """The server that an earlier run of the same job made; one that it left unfinished is cleared away."""
        if not self.spec.portal_uuid:
            return ""
        found = self.api.pages("servers", label_selector=f"{labels.UUID}={self.spec.portal_uuid}")
        whole = [server for server in found if labels.MAKING not in server["labels"]]
        if whole:
            return str(whole[0]["id"])
        if found:
            clear_away(self.api, f"{labels.MAKING},{labels.UUID}={self.spec.portal_uuid}")
        return ""

    def _body(self) -> Json:
        spec, api = self.spec, self.api
        kind = api.named("server_types", spec.flavor)
        if kind is None:
            raise NotFound(f"Hetzner does not offer the size “{spec.flavor}”.")
        image = api.one("images", spec.disks[0].image)
        if image["architecture"] != kind["architecture"]:
            raise InvalidRequest(
                f"The image is for {image['architecture']} processors, the size “{spec.flavor}” has "
                f"{kind['architecture']}.",
                field="flavor",
            )
        wanted = max(spec.disks[0].size_gib or 0, image["disk_size"])
        if wanted > kind["disk"]:
            raise InvalidRequest(
                f"The size “{spec.flavor}” has a disk of {kind['disk']} GiB, and {wanted:g} GiB are needed.",
                field="flavor",
            )
        is_public = bool(self.publics) or not self.spec.nics
        body: Json = {
            "name": spec.name,
            "server_type": spec.flavor,
            "image": str(image["id"]),
            "location": self.zone,
            "start_after_create": spec.start and not self._has_more,
            "labels": self._labels(),
            "public_net": {
                "enable_ipv4": is_public and self.options.public_ipv4,
                "enable_ipv6": is_public and self.options.public_ipv6,
            },
            "networks": self._networks(),
        }
        if self.options.firewalls and is_public:
            walls = [settings.row_called(api, "firewalls", name) for name in self.options.firewalls]
            body["firewalls"] = [{"firewall": wall["id"]} for wall in walls]
        if self.options.placement_group:
            body["placement_group"] = settings.row_called(api, "placement_groups", self.options.placement_group)["id"]
        for name in self.options.floating_ips:
            settings.row_called(api, "floating_ips", name)
        if self.options.ssh_keys:
            body["ssh_keys"] = list(self.options.ssh_keys)
        if spec.cloud_init is not None and not spec.cloud_init.is_empty:
            body["user_data"] = self._user_data(spec.cloud_init)
        return body

    @property
    def _has_more(self) -> bool:
        """Whether something is to be plugged in before it may start."""
        return len(self.spec.disks) > 1 or any(nic.address for nic in self.privates)

    def _labels(self) -> dict[str, str]:
        told = labels.labels_of({**self.spec.metadata, **dict.fromkeys(self.spec.tags, "")})
        if self.spec.portal_uuid:
            told[labels.UUID] = labels.value(self.spec.portal_uuid)
        return {**told, labels.MAKING: self.mark}

    def _user_data(self, wish: CloudInit) -> str:
        text = user_data(wish, name=self.spec.name)
        if len(text.encode()) > MOST_USER_DATA:
            raise InvalidRequest("Hetzner takes at most 32 KiB of user data.", field="user_data")
        return text

    def _networks(self) -> list[int]:
        """Networks that are joined at once. One with a fixed address is joined later, unless it is the only one."""
        for nic in self.privates:
            ensure_subnet(self.api, nic.network, self.zone)
        at_once = [nic for nic in self.privates if not nic.address]
        if not at_once and not self.publics:
            at_once = self.privates[:1]
        return [int(nic.network) for nic in at_once]

    # -- making -----------------------------------------------------------------------------------------------------

    def _make(self, body: Json) -> str:
        try:
            answer = self.api.post("/servers", body)
        except AlreadyExists as exc:
            raise AlreadyExists(f"There is a VM called “{self.spec.name}” already.", exc.detail) from exc
        number = str(answer["server"]["id"])
        self.api.settle(
            answer["action"],
            *answer["next_actions"],
            progress=self.progress,
            sentence="Making the server.",
            percent=(20, 60),
            is_final=False,
        )
        if self._has_more:
            self._plug_in(number, joined=set(body["networks"]))
            if self.spec.start:
                self.progress.report(90, "Starting it.")
                self.api.settle(self.api.post(f"/servers/{number}/actions/poweron")["action"])
        if afterwards := _AFTERWARDS & _asked(self.options):
            settings.change(self.api, self.api.one("servers", number), self.options, afterwards)
        self.progress.checkpoint()
        # From here on it is a VM like any other.
        finished = {name: told for name, told in self._labels().items() if name != labels.MAKING}
        self.api.put(f"/servers/{number}", {"labels": finished})
        self.progress.report(100, "Created.")
        return number

    def _plug_in(self, number: str, *, joined: set[int]) -> None:
        for index, disk in enumerate(self.spec.disks[1:], start=2):
            self.progress.report(60 + 20 * (index - 1) // len(self.spec.disks), f"Plugging in disk {index}.")
            plug_disk(self.api, number, disk, name=f"{self.spec.name}-disk{index}")
            self.progress.checkpoint()
        for nic in self.privates:
            if nic.address:
                self.progress.report(82, "Plugging in the network.")
                if int(nic.network) in joined:
                    body = {"network": int(nic.network)}
                    self.api.settle(self.api.post(f"/servers/{number}/actions/detach_from_network", body)["action"])
                join_network(self.api, number, nic)
                self.progress.checkpoint()


def _asked(options: HcloudOptions) -> frozenset[str]:
    """Options that are not as they would be by themselves."""
    return frozenset(options.model_dump(exclude_defaults=True))


# -- checks ---------------------------------------------------------------------------------------------------------


def read_options(told: Mapping[str, Any]) -> HcloudOptions:
    """Typed options; raises InvalidRequest that names the wrong one."""
    try:
        return HcloudOptions.model_validate(dict(told))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"The option “{field}” is not accepted: {first['msg']}.", field="options") from None


def check_name(name: str) -> None:
    """Raises InvalidRequest for what is no host name, which the API demands."""
    if not _HOST_NAME.fullmatch(name):
        raise InvalidRequest(
            "A VM's name at Hetzner is a host name: letters, digits, dots and dashes, at most 63.", field="name"
        )


def check_disk(disk: DiskSpec, *, is_first: bool = False) -> None:
    """Raises InvalidRequest for wishes that the platform cannot fulfil."""
    for name in ("bus", "cache", "format", "shareable", "read_only"):
        if getattr(disk, name):
            raise InvalidRequest(f"Disks at Hetzner have no choice of “{name}”.", field=name)
    if is_first:
        if disk.volume:
            raise InvalidRequest("The first disk of a VM at Hetzner is its own, not a volume.", field="disks")
        return
    if disk.image:
        raise InvalidRequest("Only the first disk can be made from an image.", field="disks")
    if not disk.volume:
        check_size(disk.size_gib)


def check_size(size_gib: int | None) -> None:
    if size_gib is None or not SMALLEST_VOLUME_GIB <= size_gib <= LARGEST_VOLUME_GIB:
        raise InvalidRequest(
            f"Volumes at Hetzner have {SMALLEST_VOLUME_GIB} to {LARGEST_VOLUME_GIB} GiB.", field="size_gib"
        )


def check_nic(nic: NicSpec) -> None:
    for name in ("mac", "model", "filter", "isolated", "vlan", "address6", "gateway6"):
        if getattr(nic, name):
            raise InvalidRequest(f"Network cards at Hetzner have no choice of “{name}”.", field=name)
    if nic.network == PUBLIC and nic.address:
        raise InvalidRequest("Public addresses are given by Hetzner.", field="address")


# -- steps, shared with the facets of disks and cards ---------------------------------------------------------------


def plug_disk(api: Api, number: str, disk: DiskSpec, *, name: str) -> str:
    """Attach a volume, made for this server unless it exists; returns its id. A failed one leaves no volume."""
    if disk.volume:
        volume = api.one("volumes", disk.volume)
        if volume["server"] == int(number):
            return str(volume["id"])
        if volume["server"]:
            raise Conflict("The volume belongs to another VM; detach it there first.")
        api.settle(api.post(f"/volumes/{disk.volume}/actions/attach", {"server": int(number)})["action"])
        return disk.volume
    check_size(disk.size_gib)
    body = {
        "name": disk.name or name,
        "size": disk.size_gib,
        "server": int(number),
        "labels": {labels.OWNER: number},
    }
    try:
        answer = api.post("/volumes", body)
    except AlreadyExists as exc:
        raise AlreadyExists(f"There is a volume called “{body['name']}” already.", exc.detail) from exc
    made = str(answer["volume"]["id"])
    try:
        api.settle(answer["action"], *answer["next_actions"])
    except BaseException:
        with suppress(ProviderError):
            drop_volume(api, made)
        raise
    return made


def drop_volume(api: Api, number: str) -> None:
    """Detach where it hangs, and delete; raises NotFound."""
    if api.one("volumes", number)["server"]:
        api.settle(api.post(f"/volumes/{number}/actions/detach")["action"])
    api.delete(f"/volumes/{number}")


def ensure_subnet(api: Api, network_id: str, zone: str) -> Json:
    """The network, which has a subnet in the location's part of the world afterwards.

    Servers take their addresses from subnets; a network without any gets one as wide as itself.
    """
    network = api.one("networks", network_id)
    place = api.named("locations", zone)
    if place is None:
        raise NotFound(f"Hetzner has no location “{zone}”.")
    if any(subnet["network_zone"] == place["network_zone"] for subnet in network["subnets"]):
        return network
    if network["subnets"]:
        raise Conflict(f"The network “{network['name']}” has no subnet in {place['network_zone']}; add one first.")
    body = {"type": "cloud", "ip_range": network["ip_range"], "network_zone": place["network_zone"]}
    api.settle(api.post(f"/networks/{network_id}/actions/add_subnet", body)["action"])
    return network


def join_network(api: Api, number: str, nic: NicSpec) -> None:
    """Plug a server into a private network, with the address that was asked for."""
    body: Json = {"network": int(nic.network)}
    if nic.address:
        body["ip"] = str(ip_interface(nic.address).ip)
    api.settle(api.post(f"/servers/{number}/actions/attach_to_network", body)["action"])


# -- undoing --------------------------------------------------------------------------------------------------------


def clear_away(api: Api, selector: str) -> bool:
    """Delete servers with these labels and the volumes that were made for them; True when there were any."""
    servers = api.pages("servers", label_selector=selector)
    for server in servers:
        number = str(server["id"])
        volumes = api.pages("volumes", label_selector=f"{labels.OWNER}={number}")
        _await_unlocked(api, number)
        if server["protection"]["delete"]:
            freed = {"delete": False, "rebuild": False}
            api.settle(api.post(f"/servers/{number}/actions/change_protection", freed)["action"])
        with suppress(NotFound):
            api.settle(api.delete(f"/servers/{number}").get("action"))
        _raise_first(attempt_all(partial(drop_volume, api, str(volume["id"])) for volume in volumes))
    return bool(servers)


def _await_unlocked(api: Api, number: str) -> None:
    """A server cannot be deleted while an action holds it."""
    end = time.monotonic() + UNDO_S
    with suppress(NotFound):
        while api.one("servers", number)["locked"] and time.monotonic() < end:
            time.sleep(api.config.poll_s)


def _raise_first(errors: Sequence[ProviderError]) -> None:
    for error in errors:
        raise error
