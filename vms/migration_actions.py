"""Moving a machine to another provider."""

from __future__ import annotations

from kvweb.accounts.actions import Answer, after
from vms import migration_forms, migration_services
from vms.conditions import VmAction, ready
from vms.models import VirtualMachine


@after(ready)
def _when_movable(vm: VirtualMachine) -> Answer:
    can = vm.can.migration
    if vm.is_off:
        return True if can is not None and can.offline else "Start it first: it can only move while it runs."
    if not vm.is_running:
        return "Only a machine that runs or is off can move."
    return True if can is not None and can.live else "Shut it down first: it cannot move while it runs."


MIGRATE = VmAction(
    name="migrate",
    label="Move to another provider",
    title="Move “{name}” to another provider",
    submit="Move",
    doing="Moving",
    done="The machine is there.",
    icon="arrows-transfer-up-down",
    verb="vm.migrate",
    needs=lambda vm: vm.can.migration is not None,
    when=_when_movable,
    run=migration_services.migrate,
    form=migration_forms.MigrateForm,
    in_bulk=False,
)

ACTIONS = (MIGRATE,)
