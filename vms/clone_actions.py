"""What can be made of a machine as a whole: a clone, an image, another name, another project."""

from __future__ import annotations

from kvweb.accounts.actions import Answer, after
from vms import clone_forms, clone_services, services
from vms.conditions import VmAction, ready
from vms.models import VirtualMachine


@after(ready)
def _when_still(vm: VirtualMachine) -> Answer:
    return True if vm.is_off else "Shut it down first: a copy of disks that are written to is no good."


RENAME = VmAction(
    name="rename",
    label="Rename",
    doing="Renaming",
    done="The machine has a new name.",
    icon="pencil",
    verb="vm.change",
    needs=lambda vm: vm.can.reshape is not None and vm.can.reshape.rename,
    when=ready,
    run=services.rename,
    form=clone_forms.RenameForm,
    in_bulk=False,
)
DESCRIBE = VmAction(
    name="describe",
    label="Describe",
    doing="Describing",
    done="The description is saved.",
    title="Description of “{name}”",
    submit="Save",
    icon="pencil",
    verb="vm.change",
    run=services.set_description,
    form=clone_forms.DescribeForm,
    in_bulk=False,
    place="overview",
)
CLONE = VmAction(
    name="clone",
    label="Clone",
    doing="Cloning",
    done="The clone is there.",
    icon="copy",
    # Whoever clones a machine could as well make one, and reads all that is on its disks.
    verb="vm.create",
    needs=lambda vm: vm.can.clones is not None and (vm.can.clones.full or vm.can.clones.linked),
    when=_when_still,
    run=clone_services.clone,
    form=clone_forms.CloneForm,
    in_bulk=False,
)
EXPORT = VmAction(
    name="export",
    label="Make an image of it",
    title="Make an image of “{name}”",
    submit="Make image",
    doing="Making an image",
    done="The image is there: new machines can be made from it.",
    icon="package-export",
    verb="image.create",
    needs=lambda vm: vm.can.clones is not None and vm.can.clones.export,
    when=_when_still,
    run=clone_services.export_image,
    form=clone_forms.ExportForm,
    in_bulk=False,
)
ASSIGN = VmAction(
    name="assign",
    label="Hand to a project",
    title="Hand “{name}” to a project",
    submit="Hand over",
    doing="Handing over",
    done="The machine is handed over.",
    icon="folder-share",
    verb="vm.assign",
    run=services.assign,
    form=clone_forms.AssignForm,
)

ACTIONS = (RENAME, DESCRIBE, CLONE, EXPORT, ASSIGN)
