"""Images: templates of the inventory, and ISO files on datastores."""

from __future__ import annotations

import http.client
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    ImageRecord,
    Images,
    ImageSpec,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    Progress,
    UnfinishedImage,
)
from providers.transfer.source import Source, opened
from providers.vsphere import note
from providers.vsphere.appliances import read
from providers.vsphere.connection import Connection
from providers.vsphere.creation import Creation
from providers.vsphere.datastores import File, find, isos_query, make_folder, search, split, stores
from providers.vsphere.errors import Answer, vendor_calls
from providers.vsphere.imports import Import
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import Found, children, in_view, one, retrieve, wanted
from providers.vsphere.records import backing_files, disks_of, is_template, moment, note_of
from providers.vsphere.site import read_site
from providers.vsphere.stub import file_path

#: Where the portal puts ISO files on a datastore.
FOLDER = "kvweb-iso"
_GIB = 1024**3
#: What becomes a template.
_DISKS = frozenset({"ova", "vmdk"})
_PATHS = (
    "name",
    "config.template",
    "config.createDate",
    "config.guestFullName",
    "config.hardware.device",
    "summary.storage.committed",
)


class VsphereImages(Part, Images):
    def list(self) -> Sequence[ImageRecord]:
        with vendor_calls():
            everything = self.everybody(*_PATHS)
            in_drives, builders = _users(everything)
            templates = [_template(found, builders) for found in everything if is_template(found)]
            if self.config.folder.strip("/"):
                asked = [wanted(vim.VirtualMachine, "name")]
                shown = {found.id for found in retrieve(self.connection, [in_view(self.shown())], asked)}
                templates = [template for template in templates if template.external_id in shown]
            return [*templates, *(_iso(file, in_drives) for file in self._isos())]

    def _isos(self) -> Iterator[File]:
        for store in stores(self.connection):
            if store.is_true("summary.accessible"):
                yield from search(self.connection, store, isos_query())

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """An ISO file, streamed to a datastore; or an appliance or a disk, which becomes a template."""
        with vendor_calls(), opened(spec, progress, also=_DISKS) as source:
            if source.header.format == "iso":
                record = self._add_iso(spec, source, progress)
            elif source.header.format in _DISKS:
                bringing = Import(self.connection, self.config)
                external_id = bringing.before(spec) or bringing.run(spec, read(source, progress))
                record = template_record(self.connection, external_id)
            else:
                raise InvalidRequest(
                    "vSphere takes appliances (OVA), stream-optimized VMDK files and ISO images. "
                    "“qemu-img convert -O vmdk -o subformat=streamOptimized” makes such a disk of another one.",
                    field="url",
                )
        progress.report(100, "The image is there")
        return record

    def _add_iso(self, spec: ImageSpec, source: Source, progress: Progress) -> ImageRecord:
        name = spec.name.removesuffix(".iso")
        if not name or any(char in name for char in "/\\[]%") or not name.isprintable():
            raise InvalidRequest("The name must be printable, without slashes and brackets.", field="name")
        store = read_site(self.connection).datastore(spec.pool)
        path = f"[{store.text('name')}] {FOLDER}/{name}.iso"
        try:
            find(self.connection, path, isos_query())
        except NotFound:
            pass
        else:
            raise AlreadyExists(f"There is an ISO image “{name}” on this datastore already.", field="name")
        make_folder(self.connection, f"[{store.text('name')}] {FOLDER}")
        try:
            self._send(store, f"{FOLDER}/{name}.iso", source.pieces(progress), source.length)
            progress.checkpoint()
        except BaseException:
            self._drop(path)
            raise
        return _iso(find(self.connection, path, isos_query()), {})

    def unfinished(self) -> Sequence[UnfinishedImage]:
        """Disks that were on their way in when their worker died; ISO files are there as a whole or not at all."""
        with vendor_calls():
            asked = ("name", "config.template", "config.instanceUuid", "config.createDate", note.PATH)
            return [
                UnfinishedImage(
                    key=found.id,
                    name=found.text("name"),
                    portal_uuid=note_of(found).portal_uuid,
                    begun_at=moment(found.text("config.createDate")),
                )
                for found in self.everybody(*asked)
                if _is_unfinished(found)
            ]

    def discard(self, key: str) -> None:
        if any(each.key == key for each in self.unfinished()):
            with vendor_calls():
                Creation(self.connection, self.config).destroy(key)

    def _send(self, store: Found, path: str, pieces: Iterator[bytes], length: int | None) -> None:
        """One request, as long as the file: of a known length, or in chunks."""
        where = file_path(path, datacenter=self.connection.datacenter_name, datastore=store.text("name"))
        line, headers = self.connection.stub.file_line()
        headers["Content-Type"] = "application/octet-stream"
        if length is not None:
            headers["Content-Length"] = str(length)
        try:
            line.request("PUT", where, pieces, headers, encode_chunked=length is None)
            answer = line.getresponse()
            answer.read()
            if answer.status == http.client.INSUFFICIENT_STORAGE:
                raise OutOfCapacity("The datastore is full.")
            if answer.status not in (http.client.OK, http.client.CREATED):
                raise Answer(answer.status, answer.reason)
        finally:
            line.close()

    def _drop(self, path: str) -> None:
        try:
            with vendor_calls():
                self._delete_file(path)
        except Exception:  # noqa: S110 - the first error is what is told
            pass

    def _delete_file(self, path: str) -> None:
        manager = self.connection.content.fileManager
        self.run_task(manager.DeleteDatastoreFile_Task(path, self.connection.datacenter), can_stop=False)

    def delete(self, external_id: str) -> None:
        with vendor_calls():
            everything = self.everybody(*_PATHS)
            in_drives, builders = _users(everything)
            if external_id.startswith("["):
                find(self.connection, external_id, isos_query())
                if in_drives.get(external_id):
                    raise Conflict("This image is in the drive of a VM.")
                self._delete_file(external_id)
                return
            found = next((each for each in everything if each.id == external_id and is_template(each)), None)
            if found is None:
                raise NotFound("There is no such image any more.")
            if _template(found, builders).used_by:
                raise Conflict("A linked clone builds on this template.")
            self.run_task(self.handle(external_id).Destroy_Task(), can_stop=False)


def template_record(connection: Connection, external_id: str) -> ImageRecord:
    """The record of one template; inside `vendor_calls()`."""
    handle = connection.object(vim.VirtualMachine, external_id)
    asked: list[Any] = [wanted(vim.VirtualMachine, *_PATHS)]
    return _template(next(retrieve(connection, [one(handle)], asked)), {})


def _is_unfinished(found: Found) -> bool:
    known = note_of(found)
    return known.is_image and known.is_unfinished and not is_template(found)


def _users(everything: Sequence[Found]) -> tuple[Mapping[str, list[str]], Mapping[str, list[str]]]:
    """VMs by the files in their drives, and by the files that their disks build on."""
    in_drives: dict[str, list[str]] = defaultdict(list)
    builders: dict[str, list[str]] = defaultdict(list)
    for found in everything:
        for device in children(found.values.get("config.hardware.device")):
            files = backing_files(device)
            if files and files[0].lower().endswith(".iso"):
                in_drives[files[0]].append(found.id)
            for file in files[1:]:
                builders[file].append(found.id)
    return in_drives, builders


def _template(found: Found, builders: Mapping[str, list[str]]) -> ImageRecord:
    devices = found.values.get("config.hardware.device")
    disks = [disk for disk in disks_of(devices) if disk.format == "vmdk"] if devices is not None else []
    own = [file for device in children(devices) for file in backing_files(device)]
    return ImageRecord(
        external_id=found.id,
        name=found.text("name"),
        pool=disks[0].pool if disks else "",
        format="vmdk",
        size_gib=disks[0].size_gib if disks else 0.0,
        stored_bytes=int(found.text("summary.storage.committed") or 0),
        os=found.text("config.guestFullName"),
        path=disks[0].volume if disks else "",
        created_at=moment(found.text("config.createDate")),
        used_by=tuple(dict.fromkeys(vm for file in own for vm in builders.get(file, ()) if vm != found.id)),
    )


def _iso(file: File, in_drives: Mapping[str, list[str]]) -> ImageRecord:
    name = split(file.path)[2]
    return ImageRecord(
        external_id=file.path,
        name=name[:-4] if name.lower().endswith(".iso") else name,
        pool=file.store,
        format="iso",
        size_gib=file.stored_bytes / _GIB,
        stored_bytes=file.stored_bytes,
        is_iso=True,
        path=file.path,
        created_at=file.changed_at,
        used_by=tuple(dict.fromkeys(in_drives.get(file.path, ()))),
    )
