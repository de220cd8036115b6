"""Making a second VM of one: its disks copied or layered over, and everything that says who it is made anew.

For a linked clone the original's disks become a base that nobody writes to: the original goes on in a fresh layer of
its own, as the clone does. Both VMs' notes list the base, and the last that is deleted takes it along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from providers.base import AlreadyExists, Conflict, NotFound, Progress
from providers.guest.identity import of_copy as seed_of_copy
from providers.guest.seed import read_seed, seed_iso
from providers.kvm import nvram, storage
from providers.kvm.creation import attempt, mac_of, volume_name
from providers.kvm.design import check_name, domain_uuid
from providers.kvm.errors import has_code
from providers.kvm.inventory import Inventory
from providers.kvm.layers import Layers, disks_of, layer_target, owned
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.qcow2 import is_untouched
from providers.kvm.saved import refuse_saved
from providers.kvm.tidying import snapshots_of
from providers.kvm.xml import note
from providers.kvm.xml.build import read, text_at, write
from providers.kvm.xml.domain_reader import SeenDrive, SeenMachine, read_machine
from providers.kvm.xml.identity import of_copy
from providers.kvm.xml.snapshots import put_sources

_DOCUMENT = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE

#: A seed is some 400 KiB; anything much larger in a drive is an installer.
_SEED_MOST_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class Parts:
    """What has been made for the clone by now, by the targets of the original's drives."""

    disks: dict[str, str] = field(default_factory=dict)
    raw_disks: dict[str, str] = field(default_factory=dict)
    media: dict[str, str] = field(default_factory=dict)
    bases: list[str] = field(default_factory=list)
    """Files of the original that the clone builds on."""

    def made(self) -> list[str]:
        return [*self.disks.values(), *self.raw_disks.values(), *self.media.values()]


class Cloning(Part):
    """One clone, from its checks to the running VM. Used once."""

    def run(self, external_id: str, name: str, *, full: bool, start: bool, portal_uuid: str, progress: Progress) -> Any:
        """The new domain, or the one that an earlier run made. Raises as `Clones.clone` says."""
        check_name(name)
        uuid = domain_uuid(portal_uuid) if portal_uuid else uuid4()
        existing = self.domain_or_none(str(uuid)) if portal_uuid else None
        if existing is not None:
            if start and not existing.isActive():
                existing.create()
            return existing
        original = self.domain(external_id)
        if self.domain_named(name) is not None:
            raise AlreadyExists(f"A VM called “{name}” exists already.", field="name")
        machine = demand_still(original)
        if not full and any(not each.is_external for each in snapshots_of(original)):
            raise Conflict("Its snapshots lie inside its disks, which a linked clone would share; make a full clone.")
        with ExitStack() as undo:
            macs = {card.mac: mac_of(uuid, index) for index, card in enumerate(machine.cards) if card.mac}
            parts = Parts()
            if full:
                self._copy(machine, name, uuid, parts, undo, progress)
            else:
                self._share(original, machine, name, uuid, parts, undo, progress)
            progress.checkpoint()
            progress.report(80, "Writing the seed")
            self._seed(machine, name, uuid, portal_uuid or str(uuid), macs, parts, undo)
            progress.checkpoint()
            progress.report(85, "Defining the machine")
            domain = self._define(original, machine, name, uuid, portal_uuid, macs, parts, undo)
            if start:
                progress.report(90, "Starting")
                domain.create()
            undo.pop_all()
        return domain

    # -- disks ------------------------------------------------------------------------------------------------------

    def _copy(
        self, machine: SeenMachine, name: str, uuid: UUID, parts: Parts, undo: ExitStack, progress: Progress
    ) -> None:
        """Full copies, in the pools of the originals."""
        wanted = _own_disks(machine)
        for index, drive in enumerate(wanted):
            progress.checkpoint()
            progress.report(index * 75 // len(wanted), "Copying the disks")
            pool = self._volume_of(drive)[1]
            in_files = storage.pool_type(pool) in storage.FILE_POOLS
            format_ = "qcow2" if in_files and drive.format == "qcow2" else "raw"
            made = full_copy(
                Layers(self.connection, self.config),
                drive,
                pool=pool,
                name=f"{volume_name(name, uuid, str(index))}.{format_}",
                format_=format_,
                progress=_Share(progress, index, len(wanted)),
            )
            undo.callback(attempt, partial(storage.remove, made))
            (parts.disks if format_ == "qcow2" else parts.raw_disks)[drive.target] = made.path()

    def _share(
        self,
        original: Any,
        machine: SeenMachine,
        name: str,
        uuid: UUID,
        parts: Parts,
        undo: ExitStack,
        progress: Progress,
    ) -> None:
        """Layers over the original's disks, for the clone and, where it has none that is still empty, the original."""
        progress.report(20, "Laying new disks over the old ones")
        layers = Layers(self.connection, self.config)
        frozen: list[SeenDrive] = []
        for index, drive in enumerate(_own_disks(machine)):
            volume, pool = self._volume_of(drive)
            if storage.pool_type(pool) not in storage.FILE_POOLS:
                raise Conflict(f"The disk {drive.target} is no file, so it cannot be shared; make a full clone.")
            file = f"{volume_name(name, uuid, str(index))}.qcow2"
            layer = self._over_base_of_empty(volume, drive, pool, file)
            if layer is None:
                base = replace(storage.seen(volume), format=drive.format or "raw")
                layer = _anew(pool, file, partial(storage.overlay, pool, base, name=file, capacity=base.capacity))
                frozen.append(drive)
            undo.callback(attempt, partial(storage.remove, layer))
            parts.disks[drive.target] = layer.path()
            parts.bases.append(storage.seen(layer).backing)
        if frozen:
            self._freeze(original, machine, layers, frozen, undo)

    def _over_base_of_empty(self, volume: Any, drive: SeenDrive, pool: Any, file: str) -> Any:
        """A layer over what the original's own layer lies over, when nothing was written to that one; else None.

        So ten clones of a template lie over one base, and not over ten layers.
        """
        seen = storage.seen(volume)
        if not layer_target(drive.source) or not seen.backing:
            return None
        # Written by the portal's own overlay, whose head no guest reaches.
        format_ = text_at(read(volume.XMLDesc(0)), "backingStore/format/@type") or "raw"
        below = Layers(self.connection, self.config).volume_at(seen.backing)
        if below is None or storage.seen(below).capacity != seen.capacity:
            return None
        base = replace(storage.seen(below), format=format_)
        if not is_untouched(self.raw, volume):
            return None
        return _anew(pool, file, partial(storage.overlay, pool, base, name=file, capacity=seen.capacity))

    def _freeze(
        self, original: Any, machine: SeenMachine, layers: Layers, frozen: Iterable[SeenDrive], undo: ExitStack
    ) -> None:
        """Have the original go on in layers of its own. Until it is defined so, nothing has changed for it."""
        before = original.XMLDesc(_DOCUMENT)
        made = layers.over(machine, frozen)
        undo.callback(attempt, partial(self._thaw, original, before, made))
        root = read(before)
        put_sources(root, made)
        mine = set(machine.note.volumes)
        new = [layer for target, layer in made.items() if _source(machine, target) in mine]
        note.put(root, replace(machine.note, volumes=(*machine.note.volumes, *new)))
        self.raw.defineXML(write(root))
        Inventory.of(self.connection).forget(machine.uuid)
        if original.isActive():
            raise Conflict("It was started meanwhile. Stop it and try again.")

    def _thaw(self, original: Any, before: str, made: Mapping[str, str]) -> None:
        """As it was, unless somebody has started it on its new layers by now: then it goes on in them."""
        now = {drive.source for drive in read_machine(original.XMLDesc(0)).drives}
        if original.isActive() and now & set(made.values()):
            return
        self.raw.defineXML(before)
        Inventory.of(self.connection).forget(original.UUIDString())
        Layers(self.connection, self.config).remove(made.values())

    def _volume_of(self, drive: SeenDrive) -> tuple[Any, Any]:
        volume = Layers(self.connection, self.config).volume_at(drive.source)
        if volume is None:
            raise Conflict(f"The disk {drive.target} lies in no storage pool, so it cannot be cloned.", drive.source)
        if volume.info()[0] not in {libvirt.VIR_STORAGE_VOL_FILE, libvirt.VIR_STORAGE_VOL_BLOCK}:
            raise Conflict(f"The disk {drive.target} is neither a file nor a device of the host.", drive.source)
        return volume, volume.storagePoolLookupByVolume()

    # -- who it is --------------------------------------------------------------------------------------------------

    def _seed(
        self,
        machine: SeenMachine,
        name: str,
        uuid: UUID,
        instance_id: str,
        macs: Mapping[str, str],
        parts: Parts,
        undo: ExitStack,
    ) -> None:
        """A seed with the original's wishes for a guest with another name; none where the original has none."""
        layers = Layers(self.connection, self.config)
        for drive in machine.drives:
            volume = layers.volume_at(drive.source) if drive.device == "cdrom" and drive.source else None
            if volume is None or volume.info()[1] > _SEED_MOST_BYTES:
                continue
            texts = read_seed(storage.piece(self.raw, volume, 0, volume.info()[1]))
            if texts is None:
                continue
            pool = volume.storagePoolLookupByVolume()
            file = volume_name(name, uuid, "seed") + ".iso"
            content = seed_iso(seed_of_copy(texts, name=name, instance_id=instance_id, macs=macs))
            made = _anew(pool, file, partial(storage.upload, self.raw, pool, name=file, content=content))
            undo.callback(attempt, partial(storage.remove, made))
            parts.media[drive.target] = made.path()
            return

    def _define(
        self,
        original: Any,
        machine: SeenMachine,
        name: str,
        uuid: UUID,
        portal_uuid: str,
        macs: Mapping[str, str],
        parts: Parts,
        undo: ExitStack,
    ) -> Any:
        document = original.XMLDesc(_DOCUMENT)
        if nvram.is_default(document):
            variables = nvram.Nvram(self.connection, self.config)
            if variables.copy(machine.name, name):
                undo.callback(attempt, partial(variables.remove, name))
        tree = Layers(self.connection, self.config).tree()
        shared = tree.closure(parts.bases) & set(owned(machine, tree))
        wanted = replace(
            machine.note,
            portal_uuid=portal_uuid,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            volumes=(*parts.made(), *sorted(shared)),
        )
        made = of_copy(
            document,
            name=name,
            uuid=str(uuid),
            wanted_note=wanted,
            macs=macs,
            disks=parts.disks,
            raw_disks=parts.raw_disks,
            media=parts.media,
        )
        try:
            domain = self.raw.defineXML(made)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_OPERATION_FAILED) and "already exists" in str(exc):
                raise AlreadyExists(f"A VM called “{name}” exists already.", str(exc), field="name") from exc
            raise
        undo.callback(attempt, lambda: domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM))
        return domain


def demand_still(domain: Any) -> SeenMachine:
    """The stopped VM's document, read; raises Conflict for one whose disks may change now."""
    if domain.isActive():
        raise Conflict("Stop the VM first.")
    refuse_saved(domain)
    return read_machine(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def full_copy(
    layers: Layers, drive: SeenDrive, *, pool: Any, name: str, format_: str, progress: Progress, mode: str = ""
) -> Any:
    """A volume with all that the disk holds, whatever it builds on.

    Raises Conflict for a raw disk whose content looks like an image of another format: copying would follow what a
    guest wrote there to any file of the host.
    """
    volume = layers.volume_at(drive.source)
    if volume is None:
        raise NotFound(f"The disk {drive.target} lies in no storage pool.", drive.source)
    storage.refreshed(volume.storagePoolLookupByVolume())
    seen = storage.seen(volume)
    if drive.format in {"raw", ""} and seen.format not in {"raw", "iso", "", "none"}:
        raise Conflict(f"The disk {drive.target} is raw but looks like {seen.format}, so it cannot be copied.")
    tree = layers.tree()
    whole = sum(tree.volumes[path].allocation for path in tree.chain(drive.source) if path in tree.volumes)
    counted = replace(seen, allocation=min(whole, seen.capacity) or seen.allocation)

    def copy() -> Any:
        return storage.copy(
            pool,
            volume,
            counted,
            name=name,
            capacity=seen.capacity,
            format_=format_,
            mode=mode,
            progress=progress,
        )

    return _anew(pool, name, copy)


class _Share:
    """A reporter for one of several disks."""

    def __init__(self, inner: Progress, index: int, count: int) -> None:
        self._inner, self._index, self._count = inner, index, count

    def report(self, percent: int, sentence: str) -> None:
        del sentence
        self._inner.report((self._index * 100 + percent) * 75 // (100 * self._count), "Copying the disks")

    def checkpoint(self) -> None:
        self._inner.checkpoint()


def _own_disks(machine: SeenMachine) -> list[SeenDrive]:
    """Those that the clone gets of its own; a disk that VMs share on purpose is shared with the clone too."""
    return [drive for drive in disks_of(machine) if not drive.shareable]


def _source(machine: SeenMachine, target: str) -> str:
    return next((drive.source for drive in machine.drives if drive.target == target), "")


def _anew(pool: Any, name: str, make: Any) -> Any:
    """Make a volume. One that bears this very name was left by a run that died: no VM has this uuid yet."""
    try:
        return make()
    except (AlreadyExists, Conflict):
        storage.remove(pool.storageVolLookupByName(name))
        return make()
