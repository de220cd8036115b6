"""Giving room back: layers that nothing needs are removed, and those that nobody can go back to are merged.

Safe to break off and to run again at any moment: content is copied downwards before anything points at the copy, what
is above reads the same all the while, and a file is removed only when no disk and no snapshot leads to it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from providers.base import Cancelled, Conflict, Progress, ProviderError, TimedOut
from providers.kvm.errors import has_code
from providers.kvm.inventory import Inventory
from providers.kvm.layers import Layers, Tree, disks_of, layer_target, owned
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.xml.domain_reader import SeenMachine, read_machine
from providers.kvm.xml.snapshots import SeenSnapshot, format_below, read_snapshot, with_files

_log = logging.getLogger(__name__)

_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE
_REDEFINE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
_SECURE = libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE

#: A job that neither moves nor ends for so long is given up.
_STUCK_S = 120.0


def snapshots_of(domain: Any) -> list[SeenSnapshot]:
    """All snapshots of a VM, read."""
    return [read_snapshot(each.getXMLDesc(0)) for each in domain.listAllSnapshots(0)]


class Tidying(Part):
    """One VM's files put in order."""

    def drop(self, domain: Any) -> None:
        """Remove the VM's layers that neither its disks nor its snapshots need; never a disk itself."""
        machine = read_machine(domain.XMLDesc(_INACTIVE))
        layers = Layers(self.connection, self.config)
        tree = layers.tree(refresh=machine.note.volumes)
        kept = tree.closure(self._present(domain) | _kept(snapshots_of(domain)))
        for path in _unneeded(tree, machine, kept):
            _log.info("Removing the layer %s, which nothing needs", path)
            layers.remove([path])

    def merge(self, domain: Any, freed: Iterable[str], progress: Progress) -> None:
        """Remove what is not needed, and merge each file that is needed only by the one layer above it.

        `freed` are the files that a deleted snapshot kept. A stopped VM is started paused for it, without its guest
        running, since only QEMU merges; it ends with the merge or with the connection.
        """
        self.drop(domain)
        free = frozenset(freed)
        with self._awake(domain) as wake:
            while True:
                machine = read_machine(domain.XMLDesc(_INACTIVE))
                layers = Layers(self.connection, self.config)
                tree = layers.tree(refresh=[drive.source for drive in disks_of(machine)])
                pair = next(self._pairs(domain, machine, tree, free), None)
                if pair is None:
                    break
                target, base, layer = pair
                wake()
                self._commit(domain, target, base, layer, machine, progress)
                self.drop(domain)

    # -- what is needed ---------------------------------------------------------------------------------------------

    def _present(self, domain: Any) -> set[str]:
        """Paths that the VM's disks have now or will have at its next start."""
        machines = [read_machine(domain.XMLDesc(_INACTIVE)), read_machine(domain.XMLDesc(0))]
        return {drive.source for machine in machines for drive in machine.drives}

    def _pairs(
        self, domain: Any, machine: SeenMachine, tree: Tree, freed: frozenset[str]
    ) -> Iterator[tuple[str, str, str]]:
        """(target, base, layer) of what can be merged: the layer's content into the base."""
        snapshots = snapshots_of(domain)
        # One inside a file does not change with what is written to the file.
        needed = self._present(domain) | _kept(each for each in snapshots if each.is_external)
        inside = _kept(each for each in snapshots if not each.is_external)
        ours = set(owned(machine, tree)) | freed
        for drive in disks_of(machine):
            chain = tree.chain(drive.source)
            for layer, base in pairwise(chain):
                # Another VM's layer on the base would see it change; a snapshot inside the layer would be lost.
                is_alone = tree.above.get(base) == (layer,) and layer not in inside
                is_branch = len(tree.above.get(layer, ())) > 1
                is_free = base in ours and base not in needed
                if is_free and is_alone and not is_branch and layer_target(layer) and self._is_ours(machine, base):
                    yield drive.target, base, layer

    def _is_ours(self, machine: SeenMachine, path: str) -> bool:
        """Whether no other VM has the file; asked last, since it may wait for busy VMs."""
        return not set(Inventory.of(self.connection).users_of(path)[path]) - {machine.uuid}

    # -- merging ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _awake(self, domain: Any) -> Iterator[Any]:
        """Hands out how to have QEMU at work; what was started for it is ended."""
        started = False

        def wake() -> None:
            nonlocal started
            if domain.hasManagedSaveImage(0):
                raise Conflict("Its memory is saved, and belongs to the disks as they are.")
            if not domain.isActive():
                # Gone with this connection too, so a worker that dies leaves no VM that nobody started.
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY)
                started = True

        try:
            yield wake
        finally:
            if started:
                try:
                    domain.destroy()
                except LibvirtError as exc:
                    if not has_code(exc, libvirt.VIR_ERR_OPERATION_INVALID):
                        raise
                Inventory.of(self.connection).forget(domain.UUIDString())

    def _commit(
        self, domain: Any, target: str, base: str, layer: str, machine: SeenMachine, progress: Progress
    ) -> None:
        top = next(drive.source for drive in machine.drives if drive.target == target)
        is_top = layer == top
        format_ = format_below(domain.XMLDesc(0), base) or "qcow2"
        if domain.blockJobInfo(target, 0):
            # Left by a worker that died; the content is the same before and after.
            domain.blockJobAbort(target, 0)
        domain.blockCommit(target, base, layer, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE if is_top else 0)
        try:
            _finished(domain, target, progress, is_top=is_top)
        except BaseException:
            _abort(domain, target)
            raise
        if is_top:
            _pivot(domain, target)
        else:
            self._moved(domain, layer, base, format_)
        Inventory.of(self.connection).forget(domain.UUIDString())

    def _moved(self, domain: Any, layer: str, base: str, format_: str) -> None:
        """Snapshots that lead to the layer lead to the base, which now reads the same."""
        current = domain.snapshotCurrent().getName() if domain.hasCurrentSnapshot() else ""
        for each in domain.listAllSnapshots(0):
            text = each.getXMLDesc(_SECURE)
            if layer in read_snapshot(text).files.values():
                is_current = each.getName() == current
                flags = _REDEFINE | (libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT if is_current else 0)
                domain.snapshotCreateXML(with_files(text, {layer: base}, format_), flags)


def merged(tidying: Tidying, domain: Any, freed: Iterable[str], progress: Progress) -> None:
    """Merge where that can be done now. What cannot stays as it is and is tried again with the next deletion.

    The snapshot is deleted by now, so also a wish to stop ends only the merge.
    """
    try:
        tidying.merge(domain, freed, progress)
    except (LibvirtError, ProviderError, Cancelled) as exc:
        _log.warning("The layers of %s stay unmerged: %s", domain.name(), exc)


def _kept(snapshots: Iterable[SeenSnapshot]) -> set[str]:
    """Paths that these lead to."""
    return {path for each in snapshots for path in each.files.values()}


def _unneeded(tree: Tree, machine: SeenMachine, kept: set[str]) -> list[str]:
    """Layers of the VM that nothing leads to, the uppermost first, without those that others build on."""
    going: list[str] = []
    candidates = [path for path in owned(machine, tree) if path not in kept and layer_target(path)]
    while True:
        free = [path for path in candidates if path not in going and not set(tree.above.get(path, ())) - set(going)]
        if not free:
            return going
        going += free


def _finished(domain: Any, target: str, progress: Progress, *, is_top: bool) -> None:
    """Wait until the job has copied all; raises TimedOut when it does not move."""
    last, since = -1, time.monotonic()
    while True:
        info = domain.blockJobInfo(target, 0)
        if not info:
            # One below the top ends by itself.
            return
        done, whole = info["cur"], info["end"]
        if is_top and whole and done == whole:
            return
        if done != last:
            last, since = done, time.monotonic()
        elif time.monotonic() - since > _STUCK_S:
            raise TimedOut("Merging a disk does not get on.")
        progress.report(min(99, 50 + done * 49 // max(whole, 1)), "Merging the disks")
        progress.checkpoint()
        time.sleep(0.1)


def _pivot(domain: Any, target: str) -> None:
    """Have the disk be the file below. QEMU is ready for it a moment after all is copied."""
    end = time.monotonic() + _STUCK_S
    while True:
        try:
            domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
            return
        except LibvirtError as exc:
            if not has_code(exc, libvirt.VIR_ERR_BLOCK_COPY_ACTIVE) or time.monotonic() > end:
                raise
        time.sleep(0.1)


def _abort(domain: Any, target: str) -> None:
    try:
        domain.blockJobAbort(target, 0)
    except LibvirtError as exc:
        _log.debug("Aborting a merge: %s", exc)
