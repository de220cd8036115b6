"""One move of a VM to another hypervisor, from its checks to the VM at the target.

The portal is connected to both ends, and only the hypervisors exchange the memory, over ports 49152 to 49215. Where the
target tells how its peers reach it, libvirt here leads the move and goes on when the portal dies; else the portal leads
it, and it ends with the portal (https://libvirt.org/migration.html). A stopped VM's disks go through the portal.
Whatever is broken off leaves the VM here as it was.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from providers.base import AlreadyExists, Conflict, PowerState, Progress, VmRecord
from providers.kvm import nvram, storage
from providers.kvm.cloning import full_copy
from providers.kvm.creation import attempt, owner_mark, volume_name
from providers.kvm.ends import ARRIVING, AUTOSTART, INACTIVE, There, clear, is_moving, is_same_storage, is_shared, leave
from providers.kvm.errors import has_code, is_of_a_line
from providers.kvm.layers import Layers, owned
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.records import power_of
from providers.kvm.saved import refuse_saved
from providers.kvm.travel import carry, stored_bytes
from providers.kvm.xml.build import read
from providers.kvm.xml.domain_reader import SeenDrive, SeenMachine
from providers.kvm.xml.elements import Note
from providers.kvm.xml.identity import of_moved

_log = logging.getLogger(__name__)

_LIVE_DOCUMENT = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
_LIVE = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    # A guest that writes faster than the line carries is slowed down until it fits.
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE
)


#: What libvirt, QEMU and GnuTLS say about certificates that are missing or not trusted.
_UNTRUSTED = re.compile(r"certificate|x509|credentials|\bTLS\b|handshake", re.IGNORECASE)

#: What libvirt here says of one that is too old, or no hypervisor.
_NO_PEERS = "does not support peer-to-peer"


@dataclass(slots=True)
class Luggage:
    """What has been made at the target, by the targets of the VM's drives."""

    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Path and format."""
    ejected: list[str] = field(default_factory=list)
    owned: list[str] = field(default_factory=list)


class Trip:
    """One move, from its checks to the VM at the target. Used once."""

    def __init__(
        self,
        here: Part,
        there: There,
        domain: Any,
        machine: SeenMachine,
        *,
        copy_storage: bool,
        progress: Progress,
    ) -> None:
        self.here, self.there = here, there
        self.domain, self.machine = domain, machine
        self.copy_storage, self.progress = copy_storage, progress
        self.is_active = bool(domain.isActive())
        self.layers = Layers(here.connection, here.config)
        self.luggage = Luggage()

    # -- before anything is made ------------------------------------------------------------------------------------

    def check(self, *, live: bool) -> None:
        refuse_saved(self.domain)
        if self.domain.snapshotNum(0):
            raise Conflict("Delete its snapshots first: they cannot travel.")
        if self.is_active and not live:
            raise Conflict("Stop the VM first, or move it while it runs.")
        if self.is_active and power_of(*self.domain.state())[0] is not PowerState.RUNNING:
            raise Conflict("Only a running or a stopped VM can be moved.")
        if (
            not self.is_active
            and read(self.domain.XMLDesc(0)).find("devices/tpm/backend[@type='emulator']") is not None
        ):
            raise Conflict("What its TPM holds can only travel while it runs: start it and move it then.")
        if self.there.domain_named(self.machine.name) is not None:
            raise AlreadyExists(f"The target has a VM called “{self.machine.name}” already.")
        for name in {card.network for card in self.machine.cards if card.network}:
            self._check_network(name)
        for drive in self._disks():
            self._check_disk(drive)

    def _check_network(self, name: str) -> None:
        try:
            network = self.there.raw.networkLookupByName(name)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_NETWORK, libvirt.VIR_ERR_NO_SUPPORT):
                raise Conflict(f"The target has no network “{name}”.", field="target") from exc
            raise
        if not network.isActive():
            raise Conflict(f"The target's network “{name}” is switched off.", field="target")

    def _check_disk(self, drive: SeenDrive) -> None:
        if self.layers.volume_at(drive.source) is None:
            raise Conflict(f"The disk {drive.target} lies in no storage pool, so it cannot be moved.", drive.source)
        if self.copy_storage and drive.shareable:
            raise Conflict(f"Other VMs share the disk {drive.target}, so it cannot travel.")
        if not self.copy_storage:
            for path in self.layers.tree().chain(drive.source):
                if not is_shared(self.here, self.there, path):
                    reason = f"The target does not see the disk {drive.target}; copy the disks."
                    raise Conflict(reason, path, field="target")

    # -- the move ---------------------------------------------------------------------------------------------------

    def run(self) -> VmRecord:
        with ExitStack() as undo:
            self._pack_media(undo)
            arrived = self._live(undo) if self.is_active else self._cold(undo)
        self.there.settle(arrived)
        return self.there.record(arrived)

    def _live(self, undo: ExitStack) -> Any:
        if self.copy_storage:
            for index, drive in enumerate(self._disks()):
                volume = self.layers.volume_at(drive.source)
                capacity = int(self.domain.blockInfo(drive.target, 0)[0])
                pool = self.there.pool_for(volume.storagePoolLookupByVolume().name())
                format_ = drive.format or "raw"
                name = self._name(drive, index, format_)
                made = self._anew(
                    drive, pool, name, partial(storage.blank, pool, name=name, capacity=capacity, format_=format_)
                )
                self._packed(drive, made, format_, undo)
        parameters = {
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: self._document(_LIVE_DOCUMENT),
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: self._document(INACTIVE),
        }
        if self.there.migration_uri:
            parameters[libvirt.VIR_MIGRATE_PARAM_URI] = self.there.migration_uri
        # libvirt knows only some file systems to be shared; that these are was proved.
        flags = _LIVE | (libvirt.VIR_MIGRATE_NON_SHARED_DISK if self.copy_storage else libvirt.VIR_MIGRATE_UNSAFE)
        if self._is_encrypted:
            flags |= libvirt.VIR_MIGRATE_TLS
        has_variables = nvram.is_default(self.domain.XMLDesc(INACTIVE))
        arrived = self._sent(parameters, flags, undo)
        # It lives there now: nothing that goes wrong from here on may undo that.
        undo.pop_all()
        attempt(partial(clear, self.here, self.machine, keep=not self.copy_storage))
        if has_variables:
            attempt(partial(nvram.Nvram(self.here.connection, self.here.config).remove, self.machine.name))
        return arrived

    def _sent(self, parameters: Mapping[str, str], flags: int, undo: ExitStack) -> Any:
        """The VM at the target, by libvirt's own way to it or else by the portal's."""
        peer = self.there.config.peer_uri
        if peer:
            try:
                lead = flags | libvirt.VIR_MIGRATE_PEER2PEER
                self._watched(partial(self.domain.migrateToURI3, peer, parameters, lead))
            except LibvirtError as exc:
                if not self._is_here():
                    # What was made at the target is in use: only the portal's own line has broken.
                    undo.pop_all()
                    raise
                # The portal's own line is whole, so what this tells of is the line from host to host.
                if not (is_of_a_line(exc) or _NO_PEERS in str(exc)):
                    raise
                _log.warning("The two hosts do not reach each other by the migration URI, so the portal leads: %s", exc)
            else:
                return self._found_there()
        return self._watched(partial(self.domain.migrate3, self.there.raw, parameters, flags))

    def _is_here(self) -> bool:
        """Whether the VM is here and on no way any more; False as well when nobody can be asked."""
        try:
            return bool(self.domain.isActive()) and not is_moving(self.domain)
        except LibvirtError:
            return False

    def _found_there(self) -> Any:
        arrived = self.there.domain_or_none(self.machine.uuid)
        if arrived is None:
            raise Conflict(
                "It went to another host than this target: the target's migration URI leads elsewhere.",
                self.there.config.peer_uri,
                field="target",
            )
        return arrived

    def _watched(self, migrate: Callable[[], Any]) -> Any:
        """Migrate in a thread, while this one tells how far it is and listens for a cancel."""
        result: list[Any] = []
        done = threading.Event()

        def run() -> None:
            try:
                result.append(migrate())
            except LibvirtError as exc:
                result.append(exc)
            finally:
                done.set()

        threading.Thread(target=run, name="libvirt-migrate", daemon=True).start()
        try:
            percent = 5
            while not done.wait(0.2):
                percent = max(percent, _percent(self.domain))
                self.progress.report(percent, "Moving the running machine")
                self.progress.checkpoint()
        except BaseException:
            attempt(self.domain.abortJob)
            done.wait()
            if not isinstance(result[0], Exception):
                # It had arrived by then.
                return result[0]
            raise
        if isinstance(result[0], Exception):
            if self._is_encrypted and _UNTRUSTED.search(str(result[0])):
                raise Conflict(
                    "The two hypervisors made no encrypted line. Both need certificates for migrations, each of which "
                    "the other trusts.",
                    str(result[0]),
                    field="target",
                )
            raise result[0]
        return result[0]

    def _cold(self, undo: ExitStack) -> Any:
        disks = self._disks() if self.copy_storage else []
        whole = sum(stored_bytes(self.layers.volume_at(drive.source)) for drive in disks) or 1
        before = 0
        for index, drive in enumerate(disks):
            self.progress.checkpoint()
            before += self._carry(drive, index, before, whole, undo)
        variables = nvram.Nvram(self.here.connection, self.here.config)
        has_variables = nvram.is_default(self.domain.XMLDesc(INACTIVE))
        content = variables.content(self.machine.name) if has_variables else b""
        if content:
            others = nvram.Nvram(self.there.connection, self.there.config)
            others.write(self.machine.name, content)
            undo.callback(attempt, partial(others.remove, self.machine.name))
        self.progress.checkpoint()
        self.progress.report(95, "Defining it at the target")
        arrived = self.there.raw.defineXML(self._document(INACTIVE, arriving=self.here.raw.getHostname()))
        undo.callback(attempt, partial(arrived.undefineFlags, libvirt.VIR_DOMAIN_UNDEFINE_NVRAM))
        if self.domain.isActive():
            raise Conflict("It was started meanwhile. Stop it and try again.")
        # It is complete there, and says so: nothing that goes wrong from here on may undo that.
        undo.pop_all()
        leave(self.here, self.domain, self.machine, keep=not self.copy_storage)
        return arrived

    def _carry(self, drive: SeenDrive, index: int, before: int, whole: int, undo: ExitStack) -> int:
        """One disk through the portal; one that builds on others is first written out in full here."""
        volume = self.layers.volume_at(drive.source)
        pool = self.there.pool_for(volume.storagePoolLookupByVolume().name())
        with ExitStack() as locally:
            format_ = drive.format or "raw"
            if storage.seen(volume).backing or format_ not in {"qcow2", "raw"}:
                self.progress.report(before * 90 // whole, "Writing the disk out in full")
                source_pool = volume.storagePoolLookupByVolume()
                name = f"{volume_name(self.machine.name, UUID(self.machine.uuid), f'out-{index}')}.qcow2"
                format_ = "qcow2"
                volume = full_copy(
                    self.layers, drive, pool=source_pool, name=name, format_=format_, progress=_Heard(self.progress)
                )
                locally.callback(attempt, partial(storage.remove, volume))
            name = self._name(drive, index, format_)

            def told(carried: int) -> None:
                self.progress.report(min(94, (before + carried) * 90 // whole), "Copying the disks")
                self.progress.checkpoint()

            made = self._anew(
                drive,
                pool,
                name,
                partial(carry, self.here.raw, volume, self.there.raw, pool, name=name, told=told),
            )
            self._packed(drive, made, format_, undo)
            return stored_bytes(volume)

    def _pack_media(self, undo: ExitStack) -> None:
        """The seed is carried along; of an installer the target's own copy is taken."""
        ours = set(owned(self.machine, self.layers.tree()))
        for drive in self.machine.drives:
            if not drive.source or drive in self._disks():
                continue
            at_target = self._there_at(drive.source)
            if at_target is not None:
                continue
            volume = self.layers.volume_at(drive.source)
            if volume is not None and (drive.source in ours or drive.device == "disk"):
                pool = self.there.pool_for(volume.storagePoolLookupByVolume().name())
                name = PurePosixPath(drive.source).name
                made = self._anew(
                    drive,
                    pool,
                    name,
                    partial(carry, self.here.raw, volume, self.there.raw, pool, name=name, told=self._nothing),
                )
                self._packed(drive, made, drive.format or "raw", undo)
            else:
                self.luggage.ejected.append(drive.target)

    def _nothing(self, carried: int) -> None:
        del carried
        self.progress.checkpoint()

    @property
    def _is_encrypted(self) -> bool:
        """Whether one of the two ends lets VMs come and go over TLS alone."""
        return self.here.config.migration_tls or self.there.config.migration_tls

    # -- small parts ------------------------------------------------------------------------------------------------

    def _disks(self) -> list[SeenDrive]:
        return [d for d in self.machine.drives if d.device == "disk" and not d.read_only and d.source]

    def _name(self, drive: SeenDrive, index: int, format_: str) -> str:
        if owner_mark(PurePosixPath(drive.source).name):
            return f"{volume_name(self.machine.name, UUID(self.machine.uuid), str(index))}.{format_}"
        return PurePosixPath(drive.source).name

    def _anew(self, drive: SeenDrive, pool: Any, name: str, make: Any) -> Any:
        """Make a volume at the target. One of the VM's own name there was left by a run that died, unless it is the
        very disk that the VM has here.
        """
        storage.refreshed(pool)
        try:
            left = pool.storageVolLookupByName(name)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
                return make()
            raise
        volume = self.layers.volume_at(drive.source)
        if volume is None or is_same_storage(volume.storagePoolLookupByVolume(), pool):
            reason = f"Both hosts keep the disk {drive.target} in the same storage; move it without copying."
            raise Conflict(reason, field="target")
        if not owner_mark(name):
            raise Conflict(f"The target's pool holds “{name}” already.", field="target")
        storage.remove(left)
        return make()

    def _packed(self, drive: SeenDrive, volume: Any, format_: str, undo: ExitStack) -> None:
        undo.callback(attempt, partial(storage.remove, volume))
        self.luggage.files[drive.target] = (volume.path(), format_)
        if drive.source in owned(self.machine, self.layers.tree()):
            self.luggage.owned.append(volume.key())

    def _there_at(self, path: str) -> Any:
        return Layers(self.there.connection, self.there.config).volume_at(path)

    def _document(self, flags: int, arriving: str = "") -> str:
        note = self._note()
        marks = {ARRIVING: arriving, AUTOSTART: "yes" if self.domain.autostart() else ""}
        note = replace(note, values=(*note.values, *((name, value) for name, value in marks.items() if value)))
        return of_moved(self.domain.XMLDesc(flags), note, self.luggage.files, self.luggage.ejected)

    def _note(self) -> Note:
        note = self.machine.note
        kept = note.volumes if not self.copy_storage else ()
        image = note.image if note.image and self._there_at(note.image) is not None else ""
        return replace(note, volumes=(*kept, *self.luggage.owned), image=image)


class _Heard:
    """A reporter that passes on only the wish to stop."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner

    def report(self, percent: int, sentence: str) -> None:
        del percent, sentence

    def checkpoint(self) -> None:
        self._inner.checkpoint()


def _percent(domain: Any) -> int:
    try:
        stats = domain.jobStats(0)
    except LibvirtError:
        return 5
    whole = int(stats.get("data_total", 0))
    return min(94, 5 + int(stats.get("data_processed", 0)) * 89 // whole) if whole else 5
