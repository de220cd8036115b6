"""What a person can do to a machine's network cards: offered in the tab of networks."""

from __future__ import annotations

from vms import nic_forms, nic_services
from vms.conditions import Answer, VmAction, ready
from vms.models import VirtualMachine


def _when_pluggable(vm: VirtualMachine) -> Answer:
    answer = ready(vm)
    if answer is not True:
        return answer
    if not vm.is_off and not (vm.can.nics and vm.can.nics.hot_plug):
        return "Shut it down first: this provider changes cards of machines that are off."
    return True


def _can_change(vm: VirtualMachine) -> bool:
    can = vm.can.nics
    return can is not None and (can.change_network or can.change_model or can.link or can.vlan or bool(can.filters))


ADD_NIC = VmAction(
    name="add-nic",
    label="Add a network card",
    title="Add a network card to “{name}”",
    submit="Add",
    doing="Adding a network card",
    done="The network card is added.",
    icon="plus",
    verb="vm.change",
    needs=lambda vm: vm.can.nics is not None,
    when=_when_pluggable,
    run=nic_services.add_nic,
    form=nic_forms.AddNicForm,
    in_bulk=False,
    place="networks",
)
CHANGE_NIC = VmAction(
    name="change-nic",
    label="Change",
    doing="Changing a network card",
    done="The network card is changed.",
    icon="pencil",
    verb="vm.change",
    needs=_can_change,
    when=ready,
    run=nic_services.change_nic,
    form=nic_forms.ChangeNicForm,
    in_bulk=False,
    place="networks",
)
REMOVE_NIC = VmAction(
    name="remove-nic",
    label="Remove",
    doing="Removing a network card",
    done="The network card is removed.",
    icon="trash",
    verb="vm.change",
    needs=lambda vm: vm.can.nics is not None,
    when=_when_pluggable,
    run=nic_services.remove_nic,
    form=nic_forms.RemoveNicForm,
    is_destructive=True,
    in_bulk=False,
    place="networks",
)

ACTIONS = (ADD_NIC, CHANGE_NIC, REMOVE_NIC)
