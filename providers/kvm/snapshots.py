"""Snapshots: inside the disks (with memory while it runs), or as layers over them; both stand in libvirt's one tree.

libvirt goes back to external snapshots from version 9.9 on only, and deletes them from 9.0 on only while nobody
changed the chain. Both are therefore done here, the same way on every host: going back puts fresh layers over the
files that the snapshot kept, deleting forgets the name and then merges (see `tidying`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    Progress,
    SnapshotRecord,
    Snapshots,
    VmRecord,
)
from providers.kvm import agent
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.layers import Layers, disks_of
from providers.kvm.machines import KvmMachines
from providers.kvm.moments import snapshot_records
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.ownership import affected
from providers.kvm.part import Part
from providers.kvm.saved import refuse_saved
from providers.kvm.tidying import Tidying, merged
from providers.kvm.xml import note
from providers.kvm.xml.build import read, text_at, write
from providers.kvm.xml.domain_reader import SeenMachine, read_machine
from providers.kvm.xml.elements import Note
from providers.kvm.xml.snapshots import SeenSnapshot, domain_then, read_snapshot, snapshot_document, without_layers

_log = logging.getLogger(__name__)

_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE
_SECURE = libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE
_EXTERNAL = (
    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
)
_MARK_CURRENT = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT

#: A snapshot's name is a file's name on the host, with “.xml” after it, and at most 255 bytes long.
_NAME_MOST_BYTES = 200


class KvmSnapshots(Part, Snapshots):
    def list(self, external_id: str) -> Sequence[SnapshotRecord]:
        with vendor_calls():
            return snapshot_records(self.domain(external_id))

    def create(
        self,
        external_id: str,
        name: str,
        *,
        description: str = "",
        memory: bool = False,
        external: bool = False,
        progress: Progress = QUIET,
    ) -> SnapshotRecord:
        """Inside the disks when the VM is off or its memory is kept, else external: a running VM's disks alone can
        only be kept below a layer. The guest's file systems are frozen for it where its agent answers.
        """
        _check_texts(name, description)
        if memory and external:
            raise InvalidRequest("An external snapshot keeps no memory.", field="external")
        with vendor_calls():
            domain = self.defined(external_id)
            if _found(domain, name) is not None:
                raise AlreadyExists(f"It has a snapshot “{name}” already.", field="name")
            is_active = bool(domain.isActive())
            if memory and not is_active:
                raise Conflict("Only a running VM has memory to keep.")
            refuse_saved(domain)
            progress.checkpoint()
            if external or (is_active and not memory):
                progress.report(10, "Putting layers over the disks")
                self._create_external(domain, name, description)
            else:
                _demand_inside(domain)
                progress.report(10, "Saving memory and disks" if memory else "Saving the disks")
                domain.snapshotCreateXML(snapshot_document(name=name, description=description), 0)
            Inventory.of(self.connection).forget(external_id)
            progress.report(100, "Done")
            return next(record for record in snapshot_records(domain) if record.name == name)

    def tidy(self, external_id: str) -> None:
        """Remove layers that neither the VM's disks nor its snapshots lead to."""
        with vendor_calls():
            Tidying(self.connection, self.config).drop(self.domain(external_id))

    def revert(self, external_id: str, name: str, progress: Progress = QUIET) -> VmRecord:
        """Name, description and metadata stay as they are now. Raises Conflict for a snapshot inside disks on which
        layers lie meanwhile, since they would change below them.
        """
        with vendor_calls():
            domain = self.domain(external_id)
            snapshot = _demanded(domain, name)
            text = snapshot.getXMLDesc(_SECURE)
            seen = read_snapshot(text)
            now = read_machine(domain.XMLDesc(_INACTIVE))
            progress.checkpoint()
            if seen.is_external and seen.has_memory:
                raise NotSupported("This snapshot was made elsewhere, with its memory in a file of its own.")
            progress.report(10, "Going back")
            if seen.is_external:
                self._revert_external(domain, text, seen, now)
            else:
                self._revert_internal(domain, snapshot, text, seen, now)
            Inventory.of(self.connection).forget(external_id)
            progress.report(90, "Removing what nothing needs")
            Tidying(self.connection, self.config).drop(domain)
            progress.report(100, "Done")
            return KvmMachines(self.connection, self.config).record(self.domain(external_id))

    def delete(self, external_id: str, name: str, progress: Progress = QUIET) -> None:
        """An external one's files are merged with the layer above where that is the only one; where it cannot be done
        now they stay, as part of the disk, and the next deletion tries again.
        """
        with vendor_calls():
            domain = self.domain(external_id)
            snapshot = _demanded(domain, name)
            seen = read_snapshot(snapshot.getXMLDesc(0))
            progress.checkpoint()
            progress.report(10, "Deleting the snapshot")
            if not seen.is_external and self._delete_internal(domain, snapshot, seen):
                progress.report(100, "Done")
                return
            # The name goes first: from the merge on its files hold a later state, which must not look like this one.
            _forget(domain, snapshot)
            merged(Tidying(self.connection, self.config), domain, seen.files.values(), progress)
            Inventory.of(self.connection).forget(external_id)
            progress.report(100, "Done")

    # -- external ---------------------------------------------------------------------------------------------------

    def _create_external(self, domain: Any, name: str, description: str) -> None:
        machine = read_machine(domain.XMLDesc(0))
        disks = disks_of(machine)
        if not disks:
            raise Conflict("It has no disk to keep.")
        layers = Layers(self.connection, self.config)
        made = layers.over(machine, disks)
        left_out = tuple(drive.target for drive in machine.drives if drive.target not in made)
        document = snapshot_document(name=name, description=description, layers=made, left_out=left_out)
        try:
            if not (machine.agent_connected and domain.isActive() and _create_frozen(domain, document)):
                domain.snapshotCreateXML(document, _EXTERNAL)
        except BaseException:
            layers.remove(made.values())
            raise
        layers_owned = owned_layers(machine, _files_of(machine, made), made)
        self._note(domain, replace(machine.note, volumes=_union(machine.note.volumes, layers_owned)))

    def _revert_external(self, domain: Any, text: str, seen: SeenSnapshot, now: SeenMachine) -> None:
        layers = Layers(self.connection, self.config)
        for drive in seen.drives:
            if layers.volume_at(drive.source) is None:
                raise Conflict("A disk of this snapshot does not exist any more.", drive.source)
        made = layers.over(now, seen.drives)
        try:
            _stop(domain)
            self._define(domain_then(text, made), now, owned_layers(now, seen.files, made))
        except BaseException:
            layers.remove(made.values())
            raise
        domain.snapshotCreateXML(text, _MARK_CURRENT)

    # -- internal ---------------------------------------------------------------------------------------------------

    def _revert_internal(self, domain: Any, snapshot: Any, text: str, seen: SeenSnapshot, now: SeenMachine) -> None:
        files = seen.files
        above = Layers(self.connection, self.config).tree(refresh=files.values()).above
        if any(above.get(path) for path in files.values()):
            raise Conflict(
                "Layers lie over the disks that hold this snapshot: delete the external snapshots made since, "
                "and the clones that share its disks."
            )
        if files != _files_of(now, files):
            _stop(domain)
            self._define(domain_then(text, {}), now, ())
        # What libvirt asks to be forced is that a running VM is replaced by another process: that is what is wanted.
        domain.revertToSnapshot(snapshot, libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE)
        self._keep_notes(domain, now)

    def _delete_internal(self, domain: Any, snapshot: Any, seen: SeenSnapshot) -> bool:
        """Whether libvirt did it: it knows only the files that the VM has now."""
        now = read_machine(domain.XMLDesc(_INACTIVE))
        if seen.files == _files_of(now, seen.files):
            snapshot.delete(0)
            return True
        layers = Layers(self.connection, self.config)
        chains = layers.tree().closure(drive.source for drive in now.drives)
        if chains & set(seen.files.values()):
            raise Conflict("It lies below external snapshots that were made after it; delete those first.")
        return False

    # -- the VM's document ------------------------------------------------------------------------------------------

    def _define(self, document: str, now: SeenMachine, layers: Sequence[str]) -> None:
        """Define the VM as it was, with the name and the notes that it has now."""
        root = read(document)
        name = root.find("name")
        if name is not None:
            name.text = now.name
        _describe(root, now.description)
        then = read_machine(document)
        note.put(root, replace(now.note, volumes=_union(now.note.volumes, then.note.volumes, layers)))
        self.raw.defineXML(write(root))

    def _keep_notes(self, domain: Any, now: SeenMachine) -> None:
        then = read_machine(domain.XMLDesc(_INACTIVE))
        kept = replace(now.note, volumes=_union(now.note.volumes, then.note.volumes))
        if kept != then.note:
            self._note(domain, kept)
        if now.description != then.description:
            flags = affected(domain)
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, now.description or None, None, None, flags)

    def _note(self, domain: Any, wanted: Note) -> None:
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            write(note.to_fragment(wanted)),
            note.PREFIX,
            note.NAMESPACE,
            affected(domain),
        )


def _create_frozen(domain: Any, document: str) -> bool:
    """With file systems that stand still; False, and nothing is made, when the guest's agent does not do it."""
    reason = "the guest's agent hangs."
    # libvirt waits without end for an agent that answered once, so it is asked for something quick before.
    if agent.answers(domain):
        try:
            with agent.answered_soon(domain, within_s=agent.FREEZE_S):
                domain.snapshotCreateXML(document, _EXTERNAL | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE)
            return True
        except LibvirtError as exc:
            if not has_code(exc, *agent.SILENT):
                raise
            agent.thaw(domain)
            reason = str(exc)
    _log.warning("The file systems were not frozen: %s", reason)
    return False


def _forget(domain: Any, snapshot: Any) -> None:
    """Take the name out of the tree; its children become its parent's, and no file is touched."""
    is_current = bool(snapshot.isCurrent(0))
    text = without_layers(snapshot.getXMLDesc(_SECURE))
    flags = _MARK_CURRENT if is_current else libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    domain.snapshotCreateXML(text, flags).delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)


def _check_texts(name: str, description: str) -> None:
    if not name or name != name.strip() or not name.isprintable():
        raise InvalidRequest("A snapshot needs a printable name without outer blanks.", field="name")
    if "/" in name or name.startswith("."):
        raise InvalidRequest("The name of a snapshot has no “/”, and no “.” in front.", field="name")
    if len(name.encode()) > _NAME_MOST_BYTES:
        raise InvalidRequest("This name is too long.", field="name")
    if any(ord(char) < 32 and char not in "\t\n\r" for char in description):
        raise InvalidRequest("Control characters are not allowed here.", field="description")


def _found(domain: Any, name: str) -> Any:
    try:
        return domain.snapshotLookupByName(name, 0)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT, libvirt.VIR_ERR_INVALID_ARG):
            return None
        raise


def _demanded(domain: Any, name: str) -> Any:
    found = _found(domain, name)
    if found is None:
        raise NotFound(f"It has no snapshot “{name}”.")
    return found


def _demand_inside(domain: Any) -> None:
    """Raise Conflict for a VM whose disks cannot keep a snapshot inside, with what can be done instead."""
    text = domain.XMLDesc(0)
    disks = disks_of(read_machine(text))
    if not disks:
        raise Conflict("It has no disk to keep a snapshot in.")
    for drive in disks:
        if drive.format != "qcow2":
            raise Conflict(
                f"The disk {drive.target} is {drive.format or 'raw'}, which keeps no snapshot inside; "
                "make an external one."
            )
    os = read(text).find("os")
    if os is not None and (os.get("firmware") == "efi" or text_at(os, "loader/@type") == "pflash"):
        raise Conflict("Machines with UEFI firmware keep no snapshots inside their disks; make an external one.")


def _files_of(machine: SeenMachine, targets: Mapping[str, str]) -> dict[str, str]:
    return {drive.target: drive.source for drive in machine.drives if drive.target in targets}


def owned_layers(machine: SeenMachine, files: Mapping[str, str], made: Mapping[str, str]) -> list[str]:
    """Those of the new layers that belong to the VM. One over a disk that is not its own is not its own either: it is
    what that disk holds now, and must not go with the VM."""
    mine = set(machine.note.volumes)
    return [layer for target, layer in made.items() if files.get(target) in mine]


def _union(*groups: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for group in groups for path in group))


def _stop(domain: Any) -> None:
    if domain.isActive():
        try:
            domain.destroy()
        except LibvirtError as exc:
            if not has_code(exc, libvirt.VIR_ERR_OPERATION_INVALID):
                raise
    if domain.hasManagedSaveImage(0):
        domain.managedSaveRemove(0)


def _describe(root: Any, description: str) -> None:
    for old in root.findall("description"):
        root.remove(old)
    if description:
        element = root.makeelement("description", {})
        element.text = description
        root.append(element)
