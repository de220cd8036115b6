"""What a person can do to a machine's disks: offered in the tab of disks."""

from __future__ import annotations

from kvweb.accounts.actions import Answer, after
from vms import disk_forms, disk_place_forms, disk_services
from vms.conditions import VmAction, ready
from vms.models import VirtualMachine


@after(ready)
def _when_pluggable(vm: VirtualMachine) -> Answer:
    if not vm.is_off and not (vm.can.disks and vm.can.disks.hot_plug):
        return "Shut it down first: this provider changes disks of machines that are off."
    return True


@after(ready)
def _when_movable(vm: VirtualMachine) -> Answer:
    return True if vm.is_off else "Shut it down first: a disk that is written to cannot move."


@after(ready)
def _when_inserted(vm: VirtualMachine) -> Answer:
    is_in = any(disk.get("device") == "cdrom" and disk.get("volume") for disk in vm.disks or [])
    return True if is_in else "No image is in its drive."


ATTACH_DISK = VmAction(
    name="attach-disk",
    label="Attach a disk",
    title="Attach a disk to “{name}”",
    submit="Attach",
    doing="Attaching a disk",
    done="The disk is attached.",
    icon="plus",
    verb="vm.change",
    needs=lambda vm: vm.can.disks is not None,
    when=_when_pluggable,
    run=disk_services.attach_disk,
    form=disk_forms.AttachDiskForm,
    in_bulk=False,
    place="disks",
)
GROW_DISK = VmAction(
    name="grow-disk",
    label="Grow",
    doing="Growing a disk",
    done="The disk has grown. The guest may still have to grow its file system.",
    icon="arrows-maximize",
    verb="vm.change",
    needs=lambda vm: vm.can.disks is not None and vm.can.disks.grow,
    when=ready,
    run=disk_services.grow_disk,
    form=disk_forms.GrowDiskForm,
    in_bulk=False,
    place="disks",
)
DETACH_DISK = VmAction(
    name="detach-disk",
    label="Detach",
    doing="Detaching a disk",
    done="The disk is detached.",
    icon="plug-off",
    verb="vm.change",
    needs=lambda vm: vm.can.disks is not None,
    when=_when_pluggable,
    run=disk_services.detach_disk,
    form=disk_forms.DetachDiskForm,
    in_bulk=False,
    place="disks",
)
MOVE_DISK = VmAction(
    name="move-disk",
    label="Move",
    submit="Move",
    doing="Moving a disk",
    done="The disk is in its new pool.",
    icon="arrows-exchange",
    verb="vm.change",
    needs=lambda vm: vm.can.disks is not None and vm.can.disks.move,
    when=_when_movable,
    run=disk_services.move_disk,
    form=disk_place_forms.MoveDiskForm,
    in_bulk=False,
    place="disks",
)
INSERT_ISO = VmAction(
    name="insert-iso",
    label="Insert an ISO image",
    title="Insert an ISO image into “{name}”",
    submit="Insert",
    doing="Inserting an image",
    done="The image is in the drive.",
    icon="disc",
    verb="vm.operate",
    needs=lambda vm: vm.can.disks is not None and vm.can.disks.iso,
    when=ready,
    run=disk_services.insert_iso,
    form=disk_forms.InsertIsoForm,
    in_bulk=False,
    place="disks",
)
EJECT_ISO = VmAction(
    name="eject-iso",
    label="Eject",
    title="Eject the medium of “{name}”",
    doing="Ejecting",
    done="The drive is empty.",
    icon="player-eject",
    verb="vm.operate",
    needs=lambda vm: vm.can.disks is not None and vm.can.disks.iso,
    when=_when_inserted,
    run=disk_services.eject_iso,
    form=disk_place_forms.EjectIsoForm,
    in_bulk=False,
    place="disks",
)

ACTIONS = (ATTACH_DISK, GROW_DISK, MOVE_DISK, DETACH_DISK, INSERT_ISO, EJECT_ISO)
