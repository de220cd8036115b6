"""Bringing in an appliance: the server makes an empty VM and a lease, its disks are sent, and it becomes a template."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import Any

from providers.base import (
    AlreadyExists,
    ImageSpec,
    InvalidRequest,
    NotSupported,
    OutOfCapacity,
    ProviderError,
    TimedOut,
)
from providers.vsphere import guestinfo, note
from providers.vsphere.appliances import Appliance, Disk
from providers.vsphere.config import VsphereConfig
from providers.vsphere.connection import Connection
from providers.vsphere.creation import Creation, check_name, refuse_taken_name
from providers.vsphere.errors import Answer, vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import Found, read_one, typed
from providers.vsphere.records import is_template, note_of
from providers.vsphere.site import Site, read_site, vm_folder

#: A lease that hears nothing ends by itself, after five minutes as a rule.
_TELL_EVERY_S = 10.0
_LOOK_S = 0.3
_SENT_AS = "application/x-vnd.vmware-streamVmdk"


class Import(Part):
    """One image on its way in. Inside `vendor_calls()`."""

    def __init__(self, connection: Connection, config: VsphereConfig) -> None:
        super().__init__(connection, config)
        self.creation = Creation(connection, config)

    def run(self, spec: ImageSpec, appliance: Appliance) -> str:
        """Returns the template's id; whatever fails, nothing stays."""
        instance = note.instance_of(spec.portal_uuid)
        site = read_site(self.connection)
        try:
            external_id = self._send(spec, appliance, site, instance)
            finished = note.Note(portal_uuid=spec.portal_uuid, is_image=True, instance=instance)
            texts = guestinfo.pairs({note.KEY: finished.to_text()})
            self.reconfigure(external_id, vim.vm.ConfigSpec(extraConfig=texts))
            self.handle(external_id).MarkAsTemplate()
        except BaseException:
            self.creation.undo(instance)
            raise
        return external_id

    def before(self, spec: ImageSpec) -> str:
        """What has to be true before anything is fetched; the template of an earlier run of the same job, if any."""
        check_name(spec.name)
        if not self.connection.is_vcenter:
            raise NotSupported("A single ESXi host has no templates, so that it takes ISO images only.")
        existing = self.creation.made_before(note.instance_of(spec.portal_uuid)) if spec.portal_uuid else ""
        if existing:
            found = self._look(existing)
            known = note_of(found)
            if not known.is_image or known.portal_uuid != spec.portal_uuid:
                raise AlreadyExists("Something else has this identity already.")
            if is_template(found):
                return existing
            self.creation.destroy(existing)
        refuse_taken_name(self, spec.name)
        return ""

    def _look(self, external_id: str) -> Found:
        return read_one(self.connection, self.handle(external_id), "config.template", "config.instanceUuid", note.PATH)

    # -- the lease --------------------------------------------------------------------------------------------------

    def _send(self, spec: ImageSpec, appliance: Appliance, site: Site, instance: str) -> str:
        cluster = site.cluster(self.config.cluster)
        pool, host = site.pool(cluster), site.host(cluster)
        wish, files = self._wish(spec, appliance.descriptor, site, pool, instance)
        lease = pool.ImportVApp(wish, vm_folder(self.connection), host)
        try:
            self._await(lease)
            info = typed(self.connection, lease, "info")
            places = {each.importKey: each.url for each in info.deviceUrl or ()}
            for disk in appliance.disks:
                key = files.pop(disk.name, None)
                if key is None or key not in places:
                    raise InvalidRequest(f"The descriptor says nothing of “{disk.name}”.", field="url")
                self._upload(lease, places[key], disk)
            if files:
                missing = ", ".join(sorted(files))
                raise InvalidRequest(f"The appliance lacks what its descriptor names: {missing}.", field="url")
            lease.HttpNfcLeaseComplete()
        except BaseException:
            self._abort(lease)
            raise
        return str(info.entity._moId)

    def _wish(
        self, spec: ImageSpec, descriptor: str, site: Site, pool: Any, instance: str
    ) -> tuple[Any, dict[str, str]]:
        """What the server makes of the descriptor, without cards, under our name; and which file is which disk."""
        store = self.connection.object(vim.Datastore, site.datastore(spec.pool).id)
        params = vim.OvfManager.CreateImportSpecParams(
            entityName=spec.name, diskProvisioning="thin", locale="", deploymentOption=""
        )
        made = self.connection.content.ovfManager.CreateImportSpec(descriptor, pool, store, params)
        wrong = [str(getattr(each, "localizedMessage", "") or type(each).__name__) for each in made.error or ()]
        if wrong or made.importSpec is None:
            raise InvalidRequest("The server does not take this appliance.", "; ".join(wrong), field="url")
        if not isinstance(made.importSpec, vim.vm.VmImportSpec):
            raise InvalidRequest("This appliance is made of several VMs; bring in one at a time.", field="url")
        config = made.importSpec.configSpec
        config.name, config.instanceUuid = spec.name, instance
        # First-boot data comes by the portal; properties of the appliance would be read in its place.
        config.vAppConfig = None
        config.deviceChange = [
            each for each in config.deviceChange or () if not isinstance(each.device, vim.vm.device.VirtualEthernetCard)
        ]
        mark = note.Note(portal_uuid=spec.portal_uuid, is_image=True, is_unfinished=True, instance=instance)
        config.extraConfig = [*(config.extraConfig or ()), *guestinfo.pairs({note.KEY: mark.to_text()})]
        return made.importSpec, {each.path: each.deviceId for each in made.fileItem or ()}

    def _await(self, lease: Any) -> None:
        until = time.monotonic() + self.config.task_timeout_s
        while True:
            state = read_one(self.connection, lease, "state").text("state")
            if state == "ready":
                return
            if state == "error":
                raise typed(self.connection, lease, "error")
            if state == "done" or time.monotonic() > until:
                raise TimedOut("The server did not open a way for the disks in time.", f"lease is {state}")
            time.sleep(_LOOK_S)

    def _upload(self, lease: Any, url: str, disk: Disk) -> None:
        """One disk in one request, to the host that will keep it."""
        line, where = self.connection.stub.line_to(url)
        headers = {"Content-Type": _SENT_AS, "Content-Length": str(disk.length), "Connection": "close"}
        try:
            line.request("POST", where, self._alive(lease, disk.pieces), headers)
            answer = line.getresponse()
            answer.read()
            if answer.status == http.client.INSUFFICIENT_STORAGE:
                raise OutOfCapacity("The datastore is full.")
            if answer.status not in (http.client.OK, http.client.CREATED):
                raise Answer(answer.status, answer.reason)
        finally:
            line.close()

    @staticmethod
    def _alive(lease: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces; in between the server hears that they still come."""
        told_at = time.monotonic()
        for piece in pieces:
            yield piece
            if time.monotonic() - told_at > _TELL_EVERY_S:
                told_at = time.monotonic()
                lease.HttpNfcLeaseProgress(50)

    @staticmethod
    def _abort(lease: Any) -> None:
        try:
            with vendor_calls():
                lease.HttpNfcLeaseAbort(None)
        except ProviderError:
            # It ended by itself, with the line or with what went wrong.
            return
