"""The long operations: how each is begun, what it must have done when it says so, and how it is taken back."""

from __future__ import annotations

import hashlib
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable

import libvirt
from django.db import connections

from kvweb.jobs.models import Job
from providers.base import DiskSpec, VmSpec
from storage import image_services
from storage.models import Image, Upload
from storage.uploads import take_chunk
from tools.faults.looks import first_disk
from tools.faults.room import Room, content_of, ended
from vms import clone_services, disk_services, migration_services, services, snapshot_services
from vms.choices import Presence
from vms.models import VirtualMachine

SOURCE = "kvweb-test-source"
MADE = "kvweb-test-made"


class Operation(ABC):
    """One kind of work. `begin` starts a job, `is_done` looks for its effect, `take_back` makes room for the next."""

    name = ""
    needs_source = True
    source_runs = False

    def __init__(self, room: Room) -> None:
        self.room = room

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Before each round; undisturbed."""

    @abstractmethod
    def begin(self) -> Job: ...

    @abstractmethod
    def is_done(self) -> bool: ...

    @abstractmethod
    def take_back(self) -> None: ...

    def kept(self) -> dict[str, set[str]]:
        """What VMs must hold whatever happened: hashes of which one is right."""
        return {SOURCE: {self.room.content}} if self.needs_source else {}

    def troubles(self) -> list[str]:
        """What must hold besides, whenever nothing runs."""
        return []

    def clear_away(self) -> None:  # noqa: B027 - the room goes with all that is in it
        """After the last round: what lies outside of the room."""

    def attempt(self, kill_after_s: float | None) -> tuple[bool, Job]:
        """Begin, and kill the worker after so long; (was it killed in time?, the job)."""
        job = self.begin()
        return self.room.run(job, kill_after_s=kill_after_s), job

    # -- what several need --------------------------------------------------------------------------------------------

    @property
    def source(self) -> VirtualMachine:
        return self.row(SOURCE)

    def row(self, name: str) -> VirtualMachine:
        return VirtualMachine.objects.exclude(presence=Presence.DELETED).get(name=name)

    def has(self, name: str) -> bool:
        rows = VirtualMachine.objects.filter(name=name, presence=Presence.PRESENT)
        return rows.count() == 1 and any(self.at(daemon, name) for daemon in self.room.daemons)

    def at(self, provider: str, name: str) -> bool:
        connection = libvirt.open(self.room.daemons[provider].uri)
        try:
            return name in {domain.name() for domain in connection.listAllDomains()}
        finally:
            connection.close()

    def content(self, name: str, provider: str = "North") -> str:
        connection = libvirt.open(self.room.daemons[provider].uri)
        try:
            return content_of(first_disk(connection.lookupByName(name)))
        finally:
            connection.close()

    def create_job(self, name: str, *, retry_of: VirtualMachine | None = None) -> Job:
        room = self.room
        disk = DiskSpec(image=room.image.external_id, thin=False)
        spec = VmSpec(name=name, memory_mib=32, disks=(disk,), start=False)
        north = room.provider("North")
        return services.create(
            project=room.project, provider=north, spec=spec, image=room.image, user=room.user, retry_of=retry_of
        )[1]

    def delete(self, name: str) -> None:
        for row in VirtualMachine.objects.filter(name=name).exclude(presence=Presence.DELETED):
            if row.presence == Presence.PRESENT:
                self.room.done(services.delete(row, user=self.room.user))
            else:
                services.dismiss(row, user=self.room.user)

    def fresh_source(self) -> None:
        self.delete(SOURCE)
        self.room.done(self.create_job(SOURCE))


class Create(Operation):
    name = "create a VM with a full copy of its image"
    needs_source = False

    def begin(self) -> Job:
        waiting = VirtualMachine.objects.filter(name=MADE, presence=Presence.WANTED).first()
        return self.create_job(MADE, retry_of=waiting)

    def is_done(self) -> bool:
        return self.has(MADE) and self.content(MADE) == self.room.content

    def take_back(self) -> None:
        self.delete(MADE)


class Delete(Operation):
    name = "delete a VM"
    needs_source = False

    def prepare(self) -> None:
        self.room.done(self.create_job(MADE))

    def begin(self) -> Job:
        return services.delete(VirtualMachine.objects.filter(name=MADE).latest("pk"), user=self.room.user)

    def is_done(self) -> bool:
        return not self.at("North", MADE)

    def take_back(self) -> None:
        pass


class FullClone(Operation):
    name = "clone in full"
    full = True

    def begin(self) -> Job:
        return clone_services.clone(self.source, user=self.room.user, name=MADE, full=self.full)

    def is_done(self) -> bool:
        return self.has(MADE) and self.content(MADE) == self.room.content

    def take_back(self) -> None:
        self.delete(MADE)


class LinkedClone(FullClone):
    name = "clone as a layer"
    full = False

    def prepare(self) -> None:
        # Each such clone puts a layer under its source.
        self.fresh_source()


class Export(Operation):
    name = "export as an image"
    image = "kvweb-test-exported.qcow2"

    def begin(self) -> Job:
        return clone_services.export_image(self.source, user=self.room.user, name=self.image)

    def is_done(self) -> bool:
        found = Image.objects.filter(name=self.image, missing_since=None).exclude(external_id="").first()
        return found is not None and content_of(found.external_id) == self.room.content

    def take_back(self) -> None:
        for image in Image.objects.filter(name=self.image):
            if image.external_id and image.missing_since is None:
                self.room.done(image_services.delete(image, user=self.room.user))
            Image.objects.filter(pk=image.pk).delete()


class Import(Export):
    name = "import an image from an address"
    needs_source = False
    image = "kvweb-test-imported.qcow2"

    def wish(self) -> image_services.Wish:
        return image_services.Wish(provider=self.room.provider("North"), project=None, pool="", name=self.image)

    def begin(self) -> Job:
        waiting = Image.objects.filter(name=self.image, external_id="").first()
        url = f"{self.room.files_url}/{self.room.vendor_file.name}"
        return image_services.add_from_url(self.wish(), url=url, user=self.room.user, retry_of=waiting)[1]


class Send(Import):
    name = "send an image from a browser"
    image = "kvweb-test-sent.qcow2"

    def attempt(self, kill_after_s: float | None) -> tuple[bool, Job]:
        """Chunks in a process that is killed, then the rest from where the row says, as a browser goes on."""
        file = self.room.vendor_file
        upload = Upload.objects.filter(image__name=self.image).first()
        if upload is None:
            size = file.stat().st_size
            upload = image_services.begin_upload(self.wish(), file_name=file.name, size=size, user=self.room.user)
        was_killed = _in_a_process(lambda: self._send(upload.pk), kill_after_s)
        self._send(upload.pk)
        job = self.begin()
        self.room.run(job)
        return was_killed, job

    def begin(self) -> Job:
        return image_services.finish_upload(Upload.objects.get(image__name=self.image), user=self.room.user)

    def _send(self, pk: int) -> None:
        upload = Upload.objects.select_related("image__provider").get(pk=pk)
        with self.room.vendor_file.open("rb") as file:
            while not upload.is_complete:
                file.seek(upload.received)
                content = file.read(upload.chunk_bytes)
                digest = hashlib.sha256(content).hexdigest()
                upload = take_chunk(
                    upload, offset=upload.received, length=len(content), pieces=[content], digest=digest
                )


class Snapshot(Operation):
    name = "take a snapshot inside the disk"
    external = memory = False
    snapshot = "kept"

    def prepare(self) -> None:
        self.fresh_source()

    def begin(self) -> Job:
        return snapshot_services.take_snapshot(
            self.source, user=self.room.user, name=self.snapshot, memory=self.memory, external=self.external
        )

    def is_done(self) -> bool:
        return self.snapshot in self.told() and self.told() == [each["name"] for each in self.source.snapshots or ()]

    def told(self) -> list[str]:
        """Names that libvirt knows."""
        connection = libvirt.open(self.room.north.uri)
        try:
            return [each.getName() for each in connection.lookupByName(SOURCE).listAllSnapshots()]
        finally:
            connection.close()

    def take_back(self) -> None:
        self.delete(SOURCE)


class LayerSnapshot(Snapshot):
    name = "take a snapshot as a layer"
    external = True


class LiveSnapshot(Snapshot):
    name = "take a snapshot with memory of a running VM"
    memory = True

    def prepare(self) -> None:
        self.fresh_source()
        self.room.done(services.start(self.source, user=self.room.user))


class DropSnapshot(Snapshot):
    name = "delete a snapshot inside the disk"

    def prepare(self) -> None:
        super().prepare()
        self.room.done(super().begin())

    def begin(self) -> Job:
        return snapshot_services.delete_snapshot(self.source, user=self.room.user, snapshot=self.snapshot)

    def is_done(self) -> bool:
        return self.told() == []


class MergeSnapshot(DropSnapshot):
    name = "delete a snapshot and merge its layer"
    external = True


class Revert(DropSnapshot):
    name = "go back to a snapshot inside the disk"

    def prepare(self) -> None:
        super().prepare()
        disk = self.disk()
        subprocess.run(["qemu-io", "-c", "write -P 0x5a 0 1M", disk], check=True, capture_output=True)
        self.changed = content_of(disk)
        if self.changed == self.room.content:
            raise RuntimeError("The disk did not change.")

    def disk(self) -> str:
        connection = libvirt.open(self.room.north.uri)
        try:
            return first_disk(connection.lookupByName(SOURCE))
        finally:
            connection.close()

    def kept(self) -> dict[str, set[str]]:
        """As it was then, or as it is now; nothing between."""
        return {SOURCE: {self.room.content, self.changed}}

    def begin(self) -> Job:
        return snapshot_services.revert_to_snapshot(self.source, user=self.room.user, snapshot=self.snapshot)

    def is_done(self) -> bool:
        return self.told() == [self.snapshot] and self.content(SOURCE) == self.room.content


class LayerRevert(Revert):
    name = "go back to a snapshot that is a layer"
    external = True


class Attach(Operation):
    name = "attach a new disk"

    def begin(self) -> Job:
        return disk_services.attach_disk(self.source, user=self.room.user, size_gib=1)

    def is_done(self) -> bool:
        return len([disk for disk in self.source.disks or () if disk["device"] == "disk"]) == 2

    def prepare(self) -> None:
        self.fresh_source()

    def take_back(self) -> None:
        self.delete(SOURCE)


class Move(Operation):
    name = "move to another host with its disks"

    def prepare(self) -> None:
        if not self.at("North", SOURCE):
            self.fresh_source()

    def begin(self) -> Job:
        target = self.room.provider("South")
        return migration_services.migrate(
            self.source, user=self.room.user, target=target, live=False, copy_storage=True
        )

    def is_done(self) -> bool:
        return (
            self.at("South", SOURCE)
            and not self.at("North", SOURCE)
            and self.source.provider.name == "South"
            and self.content(SOURCE, "South") == self.room.content
        )

    def take_back(self) -> None:
        self.delete(SOURCE)


def _in_a_process(work: Callable[[], None], kill_after_s: float | None) -> bool:
    connections.close_all()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return not ended(child, kill_after_s)


OPERATIONS: dict[str, type[Operation]] = {
    "create": Create,
    "delete": Delete,
    "clone": FullClone,
    "linked-clone": LinkedClone,
    "export": Export,
    "import": Import,
    "upload": Send,
    "snapshot": Snapshot,
    "layer-snapshot": LayerSnapshot,
    "live-snapshot": LiveSnapshot,
    "delete-snapshot": DropSnapshot,
    "merge-snapshot": MergeSnapshot,
    "revert": Revert,
    "layer-revert": LayerRevert,
    "attach": Attach,
    "migration": Move,
}
