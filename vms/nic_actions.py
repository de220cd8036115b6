"""What a person can do to a machine's network cards: offered in the tab of networks."""

from __future__ import annotations

from kvweb.accounts.actions import Answer, after
from vms import nic_forms, nic_services
from vms.conditions import VmAction, ready
from vms.models import VirtualMachine


@after(ready)
def _when_pluggable(vm: VirtualMachine) -> Answer:
    if not vm.is_off and not (vm.can.nics and vm.can.nics.hot_plug):
        return "Shut it down first: this provider changes cards of machines that are off."
    return True


def _can_change(vm: VirtualMachine) -> bool:
    can = vm.can.nics
    return can is not None and (can.change_network or can.change_model or can.link or can.vlan or bool(can.filters))


def _can_give_address(vm: VirtualMachine) -> bool:
    return bool(vm.can.nics and vm.can.nics.public_address)


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
GIVE_ADDRESS = VmAction(
    name="give-address",
    label="Give an address",
    doing="Giving a public address",
    done="The card has a public address.",
    icon="world-plus",
    verb="vm.change",
    needs=_can_give_address,
    when=ready,
    run=nic_services.give_address,
    form=nic_forms.GiveAddressForm,
    in_bulk=False,
    place="networks",
)
TAKE_ADDRESS = VmAction(
    name="take-address",
    label="Take address away",
    submit="Take it away",
    doing="Taking a public address away",
    done="The public address is given back.",
    icon="world-minus",
    verb="vm.change",
    needs=_can_give_address,
    when=ready,
    run=nic_services.take_address,
    form=nic_forms.TakeAddressForm,
    is_destructive=True,
    in_bulk=False,
    place="networks",
)

ACTIONS = (ADD_NIC, CHANGE_NIC, REMOVE_NIC, GIVE_ADDRESS, TAKE_ADDRESS)
