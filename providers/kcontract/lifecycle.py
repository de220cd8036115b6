"""Lifecycle: everything under heading 1.1 of the contract but `create`, which has a file of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from providers.base import (
    Conflict,
    ConsoleKind,
    DiskDevice,
    InvalidRequest,
    NotFound,
    NotSupported,
    ProviderError,
    VmRecord,
)
from providers.kcontract import shapes
from providers.kcontract.core import Core, Info, Result, changes, failure

# `list` is a method here, so the type needs a name from outside the class.
Infos = list[dict[str, Any]]
Names = list[str]


class Lifecycle(Core):
    """Reading and running VMs."""

    def exists(self, name: str) -> bool:
        return self.vm_or_none(name) is not None

    def list(self) -> Infos:
        """All VMs, sorted by name. Three calls at most, however many there are."""
        networks, images = self.network_names(), self._image_names()
        records = sorted(self.driver.machines.list(), key=lambda vm: vm.name)
        return [shapes.info(vm, networks, images) for vm in records]

    def info(
        self,
        name: str,
        output: str = "plain",
        fields: Sequence[str] = (),
        values: bool = False,
        vm: VmRecord | None = None,
        debug: bool = False,
        guest: bool = False,
    ) -> Any:
        """One VM as a dict, {} when there is none.

        `fields` keeps only these keys, `values` answers their values as a list. `output` is "plain" (data), "json" or
        "yaml" (text). `vm` is a record that was read before. `debug` adds the record as text,
        `guest` what the guest's agent tells of itself: {} where none answers.
        """
        record = vm if vm is not None else self.vm_or_none(name)
        if record is None:
            return {}
        shape: Info = shapes.info(record, self.network_names(), self._image_names())
        if debug:
            shape["debug"] = repr(record)
        if guest:
            shape["guest"] = self._guest(record.external_id)
        if fields:
            shape = {key: shape[key] for key in fields if key in shape}
        answer: Any = [*shape.values()] if values else shape
        match output:
            case "plain":
                return answer
            case "json":
                return json.dumps(answer)
            case "yaml":
                return yaml.safe_dump(answer, sort_keys=False, allow_unicode=True)
        raise InvalidRequest(f"There is no output “{output}”; known are plain, json and yaml.", field="output")

    def _guest(self, external_id: str) -> Info:
        try:
            return shapes.guest(self.driver.machines.guest(external_id))
        except (Conflict, NotSupported):
            return {}

    def status(self, name: str) -> str | None:
        """up, down, paused, suspended, starting, stopping, crashed or unknown; None when there is no such VM."""
        record = self.vm_or_none(name)
        return None if record is None else shapes.STATUS[record.power]

    def ip(self, name: str) -> str | None:
        record = self.vm_or_none(name)
        return None if record is None else shapes.main_address(record)

    def internalip(self, name: str) -> str | None:
        """The first address of a private range."""
        record = self.vm_or_none(name)
        return None if record is None else shapes.inner_address(record)

    def dnsinfo(self, name: str) -> tuple[str | None, str | None]:
        """(dnsclient, domain) from the metadata."""
        record = self.vm_or_none(name)
        metadata = record.metadata if record is not None else {}
        return metadata.get("dnsclient"), metadata.get("domain")

    def vm_ports(self, name: str) -> Names:
        """Names of the networks that a VM is plugged into."""
        record, networks = self.vm_or_none(name), self.network_names()
        nics = record.nics or () if record is not None else ()
        return [networks[nic.network].name if nic.network in networks else nic.network for nic in nics]

    # -- changes ----------------------------------------------------------------------------------------------------

    @changes
    def start(self, name: str) -> Result | None:
        power = self.facet(self.driver.power, "power control")
        power.start(self.vm(name).external_id)
        return None

    @changes
    def stop(self, name: str, soft: bool = False) -> Result | None:
        """Pulls the plug; with `soft` the guest is asked first and gets a minute."""
        power = self.facet(self.driver.power, "power control")
        power.stop(self.vm(name).external_id, force=not soft)
        return None

    @changes
    def restart(self, name: str) -> Result | None:
        """A real restart; a stopped VM is a failure and stays stopped."""
        power = self.facet(self.driver.power, "power control")
        power.restart(self.vm(name).external_id)
        return None

    @changes
    def delete(self, name: str, snapshots: bool = False) -> Result | None:
        """Deletes the VM with its disks; one with snapshots only with `snapshots`."""
        self.driver.machines.delete(self.vm(name).external_id, with_snapshots=snapshots)
        return None

    @changes
    def clone(self, old: str, new: str, full: bool = False, start: bool = False) -> Result | None:
        clones = self.facet(self.driver.clones, "clones")
        clones.clone(self.vm(old).external_id, new, full=full, start=start)
        return None

    @changes
    def export(self, name: str, image: str | None = None) -> Result | None:
        """Makes an image of a stopped VM, called like the VM unless `image` says otherwise."""
        clones = self.facet(self.driver.clones, "clones")
        made = clones.export(self.vm(name).external_id, image or name)
        return {"image": made.name}

    @changes
    def detach_disks(self, name: str) -> Result | None:
        """Unplugs every disk but the first and keeps their volumes."""
        disks, vm = self.facet(self.driver.disks, "disks to change"), self.vm(name)
        data = [disk for disk in vm.disks or () if disk.device is DiskDevice.DISK][1:]
        for disk in data:
            disks.detach(vm.external_id, disk.external_id)
        return None

    # -- consoles ---------------------------------------------------------------------------------------------------

    def console(
        self,
        name: str,
        tunnel: bool = False,
        tunnelhost: str | None = None,
        tunnelport: int = 22,
        tunneluser: str = "root",
        web: bool = False,
    ) -> str | Result:
        """Where the screen is, as a URL without secrets, or a failure. No viewer is opened, with or without `web`.

        Tunnels are the business of who connects: asking for one is a failure.
        """
        del tunnelport, tunneluser, web
        if tunnel or tunnelhost:
            return failure("Tunnels are not made here; connect through the portal's console.")
        try:
            has = self.vm(name).consoles
        except ProviderError as exc:
            return failure(exc.reason)
        if has is not None and ConsoleKind.SPICE in has and ConsoleKind.VNC not in has:
            return self._console(name, ConsoleKind.SPICE, "spice")
        return self._console(name, ConsoleKind.VNC, "vnc")

    def serialconsole(self, name: str, web: bool = False) -> str | Result:
        """Where the serial line is, as a URL without secrets, or a failure."""
        del web
        return self._console(name, ConsoleKind.SERIAL, "serial")

    def _console(self, name: str, kind: ConsoleKind, scheme: str) -> str | Result:
        try:
            consoles = self.facet(self.driver.consoles, "consoles")
            if self.can.consoles is None or kind not in self.can.consoles.kinds:
                raise NotSupported(f"This provider has no {kind.value} console.")
            return shapes.address_of_console(consoles.open(self.vm(name).external_id, kind), scheme)
        except ProviderError as exc:
            return failure(exc.reason)

    def _image_names(self) -> dict[str, str]:
        images = self.driver.images
        try:
            return {image.external_id: image.name for image in images.list()} if images is not None else {}
        except NotFound:
            return {}
