"""What a person can do with a machine's snapshots."""

from __future__ import annotations

from kvweb.accounts.actions import Answer, after
from vms import snapshot_forms, snapshot_services
from vms.conditions import VmAction, ready
from vms.models import VirtualMachine


@after(ready)
def _when_taken(vm: VirtualMachine) -> Answer:
    if not vm.is_off and not (vm.can.snapshots and vm.can.snapshots.while_running):
        return "Shut it down first: this provider takes snapshots of machines that are off."
    return True


TAKE_SNAPSHOT = VmAction(
    name="take-snapshot",
    label="Take a snapshot",
    title="Take a snapshot of “{name}”",
    submit="Take snapshot",
    doing="Taking a snapshot",
    done="The snapshot is taken.",
    icon="camera",
    verb="vm.snapshot",
    needs=lambda vm: vm.can.snapshots is not None,
    when=_when_taken,
    run=snapshot_services.take_snapshot,
    form=snapshot_forms.TakeSnapshotForm,
)
REVERT = VmAction(
    name="revert-to-snapshot",
    label="Go back",
    doing="Going back to a snapshot",
    done="The machine is as it was then.",
    icon="history",
    verb="vm.snapshot",
    needs=lambda vm: vm.can.snapshots is not None,
    when=ready,
    run=snapshot_services.revert_to_snapshot,
    form=snapshot_forms.RevertForm,
    is_destructive=True,
    in_bulk=False,
    place="snapshots",
)
DELETE_SNAPSHOT = VmAction(
    name="delete-snapshot",
    label="Delete",
    doing="Deleting a snapshot",
    done="The snapshot is deleted.",
    icon="trash",
    verb="vm.snapshot",
    needs=lambda vm: vm.can.snapshots is not None,
    when=ready,
    run=snapshot_services.delete_snapshot,
    form=snapshot_forms.DeleteSnapshotForm,
    is_destructive=True,
    in_bulk=False,
    place="snapshots",
)

ACTIONS = (TAKE_SNAPSHOT, REVERT, DELETE_SNAPSHOT)
