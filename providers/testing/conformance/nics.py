"""Network cards: added, listed, changed in every way that was probed, removed, gone."""

from __future__ import annotations

from typing import Any

from providers.base import AlreadyExists, InvalidRequest, NicChange, NicRecord, NicSpec, NotFound, VmRecord
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise


def mac_of(lab: Lab) -> str:
    """A MAC that no other lab's card has, as the portal draws them."""
    prefix = (lab.can.nics.mac_prefix if lab.can.nics else "") or "52:54:00"
    return f"{prefix}:{lab.suffix[:2]}:{lab.suffix[2:4]}:{lab.suffix[4:6]}"


def nics_of(vm: VmRecord) -> dict[str, NicRecord]:
    return {nic.external_id: nic for nic in vm.nics or ()}


@promise(when=lambda can: can.nics, given=lambda harness: harness.network)
def an_added_card_is_listed_until_it_is_removed(lab: Lab) -> None:
    vm, nics = lab.vm(), present(lab.driver.nics)
    before = nics_of(lab.driver.machines.get(vm.external_id))
    after = nics_of(nics.add(vm.external_id, NicSpec(network=lab.harness.network)))
    nic_id = only(set(after) - set(before))
    assert after[nic_id].network == lab.harness.network
    assert after[nic_id].mac not in {nic.mac for nic in before.values()}
    assert nics_of(nics.remove(vm.external_id, nic_id)).keys() == before.keys()
    assert nics_of(lab.driver.machines.get(vm.external_id)).keys() == before.keys()


@promise(when=lambda can: can.nics and can.nics.hot_plug and can.power, given=lambda harness: harness.network)
def a_running_vm_takes_a_card(lab: Lab) -> None:
    vm = lab.vm(start=True)
    before = nics_of(lab.driver.machines.get(vm.external_id))
    present(lab.driver.nics).add(vm.external_id, NicSpec(network=lab.harness.network))
    assert len(nics_of(lab.driver.machines.get(vm.external_id))) == len(before) + 1


@promise(when=lambda can: can.nics and can.nics.mac, given=lambda harness: harness.network)
def a_wanted_mac_is_kept(lab: Lab) -> None:
    vm, mac = lab.vm(), mac_of(lab)
    after = present(lab.driver.nics).add(vm.external_id, NicSpec(network=lab.harness.network, mac=mac))
    assert mac in {nic.mac.lower() for nic in after.nics or ()}


@promise(when=lambda can: can.nics and can.nics.mac, given=lambda harness: harness.network)
def a_card_is_added_once_and_a_mac_belongs_to_one(lab: Lab) -> None:
    vm, nics, spec = lab.vm(), present(lab.driver.nics), NicSpec(network=lab.harness.network, mac=mac_of(lab))
    first = nics_of(nics.add(vm.external_id, spec))
    assert nics_of(nics.add(vm.external_id, spec)).keys() == first.keys()
    other = lab.vm("other")
    with refused(AlreadyExists):
        nics.add(other.external_id, spec)
    assert nics_of(lab.driver.machines.get(other.external_id)).keys() == nics_of(other).keys()


@promise(when=lambda can: can.nics)
def a_card_or_network_that_is_not_there_is_not_found(lab: Lab) -> None:
    vm, nics = lab.vm(), present(lab.driver.nics)
    before = nics_of(lab.driver.machines.get(vm.external_id))
    with refused(NotFound):
        nics.remove(vm.external_id, "no-such-card")
    with refused(NotFound, InvalidRequest):
        nics.add(vm.external_id, NicSpec(network="no-such-network"))
    assert nics_of(lab.driver.machines.get(vm.external_id)).keys() == before.keys()


@promise(
    when=lambda can: can.nics and can.nics.change_network,
    given=lambda harness: harness.network and harness.other_network,
)
def a_card_moves_to_another_network(lab: Lab) -> None:
    vm, nics = lab.vm(nics=(NicSpec(network=lab.harness.network),)), present(lab.driver.nics)
    nic = only(lab.driver.machines.get(vm.external_id).nics or ())
    other = NicChange(network=lab.harness.other_network)
    moved = only(nics.update(vm.external_id, nic.external_id, other).nics or ())
    assert (moved.network, moved.mac) == (lab.harness.other_network, nic.mac)
    assert only(lab.driver.machines.get(vm.external_id).nics or ()).network == lab.harness.other_network
    with refused(NotFound):
        nics.update(vm.external_id, "no-such-card", other)


@promise(when=lambda can: can.nics, given=lambda harness: harness.network)
def a_card_changes_in_every_way_that_was_probed(lab: Lab) -> None:
    features, nics = present(lab.can.nics), present(lab.driver.nics)
    vm = lab.vm(nics=(NicSpec(network=lab.harness.network),))
    before = only(lab.driver.machines.get(vm.external_id).nics or ())
    wishes: dict[str, Any] = {"filter": sorted(features.filters)[0]} if features.filters else {}
    wishes |= {"isolated": True} if features.isolation else {}
    wishes |= {"is_linked": False} if features.link else {}
    if features.change_model:
        wishes["model"] = next(model for model in sorted(features.models) if model != before.model)
    for name, value in wishes.items():
        nics.update(vm.external_id, before.external_id, NicChange.model_validate({name: value}))
        after = only(lab.driver.machines.get(vm.external_id).nics or ())
        assert (getattr(after, name), after.mac, after.network) == (value, before.mac, before.network), name
    after = only(lab.driver.machines.get(vm.external_id).nics or ())
    assert {name: getattr(after, name) for name in wishes} == wishes, "A change undid another."
    if features.filters:
        nics.update(vm.external_id, before.external_id, NicChange(filter=""))
        assert only(lab.driver.machines.get(vm.external_id).nics or ()).filter == ""


@promise(when=lambda can: can.nics and can.nics.models, given=lambda harness: harness.network)
def a_model_that_there_is_not_is_refused(lab: Lab) -> None:
    vm, nics = lab.vm(nics=(NicSpec(network=lab.harness.network),)), present(lab.driver.nics)
    nic = only(lab.driver.machines.get(vm.external_id).nics or ())
    with refused(InvalidRequest):
        nics.update(vm.external_id, nic.external_id, NicChange(model="no-such-model"))
    with refused(InvalidRequest):
        nics.add(vm.external_id, NicSpec(network=lab.harness.network, model="no-such-model"))
    assert only(lab.driver.machines.get(vm.external_id).nics or ()).model == nic.model


@promise(when=lambda can: can.nics and can.nics.public_address)
def a_public_address_is_given_once_and_taken_back(lab: Lab) -> None:
    vm, nics = lab.vm(), present(lab.driver.nics)
    # Only the first card of a kind's smallest VM is known to lead outside.
    card = next(iter(nics_of(lab.driver.machines.get(vm.external_id)).values()))
    given = nics_of(nics.give_public_address(vm.external_id, card.external_id))[card.external_id]
    assert given.public_address
    assert given.public_address in given.addresses
    again = nics_of(nics.give_public_address(vm.external_id, card.external_id))[card.external_id]
    assert again.public_address == given.public_address
    assert nics_of(lab.driver.machines.get(vm.external_id))[card.external_id].public_address == given.public_address
    taken = nics_of(nics.take_public_address(vm.external_id, card.external_id))[card.external_id]
    assert not taken.public_address
    assert given.public_address not in taken.addresses
    with refused(NotFound):
        nics.take_public_address(vm.external_id, card.external_id)
    with refused(NotFound):
        nics.give_public_address(vm.external_id, "no-such-card")
