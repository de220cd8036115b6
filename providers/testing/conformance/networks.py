"""Networks and subnets: ranges are checked, names are unique, and nothing is deleted under a VM."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NetworkMode,
    NetworkRecord,
    NetworkSpec,
    NicSpec,
    NotFound,
    SubnetSpec,
)
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise

#: The first of these that the provider can do is used: one that touches nothing outside is the kindest.
PREFERRED = (NetworkMode.ISOLATED, NetworkMode.NAT, NetworkMode.ROUTE, NetworkMode.PROVIDER, NetworkMode.OPEN)


def network_spec(lab: Lab, **changes: Any) -> NetworkSpec:
    mode = next(mode for mode in PREFERRED if mode in present(lab.can.networks).modes)
    wish = {"name": lab.name("net"), "mode": mode, "cidr": lab.harness.free_cidr, "autostart": False, **changes}
    return NetworkSpec.model_validate(wish)


def made_network(lab: Lab, **changes: Any) -> NetworkRecord:
    networks = present(lab.driver.networks)
    network = networks.create(network_spec(lab, **changes))
    lab.undo(lambda: networks.delete(network.external_id, force=True))
    return network


@promise(when=lambda can: can.networks and can.networks.create)
def a_network_is_made_listed_and_deleted(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab)
    assert (network.name, network.cidrs) == (lab.name("net"), (lab.harness.free_cidr,))
    listed = only(each for each in networks.list() if each.external_id == network.external_id)
    assert (listed.name, listed.cidrs, listed.mode) == (network.name, network.cidrs, network.mode)
    assert networks.get(network.external_id).name == network.name
    networks.delete(network.external_id)
    assert network.external_id not in {each.external_id for each in networks.list()}
    with refused(NotFound):
        networks.delete(network.external_id)
    with refused(NotFound):
        networks.get(network.external_id)


@promise(when=lambda can: can.networks and can.networks.create)
def each_mode_that_was_probed_can_be_had(lab: Lab) -> None:
    networks = present(lab.driver.networks)
    # A bridge must exist on the host first, so it is not tried here.
    for mode in sorted(present(lab.can.networks).modes - {NetworkMode.BRIDGE}):
        network = networks.create(network_spec(lab, mode=mode))
        lab.undo(lambda network=network: networks.delete(network.external_id))  # type: ignore[misc]
        assert network.mode is mode
        networks.delete(network.external_id)


@promise(when=lambda can: can.networks and can.networks.create)
def a_taken_network_name_or_range_is_refused(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab)
    with refused(AlreadyExists):
        networks.create(network_spec(lab, cidr=""))
    with refused(AlreadyExists):
        networks.create(network_spec(lab, name=lab.name("other")))
    assert networks.get(network.external_id).name == network.name


@promise(when=lambda can: can.networks and can.networks.create)
def a_range_that_is_none_is_refused(lab: Lab) -> None:
    for nonsense in ("300.1.2.0/24", "10.1.2.3", "10.1.2.0/40", "home"):
        with refused(InvalidRequest):
            present(lab.driver.networks).create(network_spec(lab, cidr=nonsense))


@promise(when=lambda can: can.networks and can.networks.create)
def a_network_is_not_deleted_under_a_vm(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab)
    vm = lab.vm(nics=(NicSpec(network=network.external_id),))
    with refused(Conflict):
        networks.delete(network.external_id)
    lab.delete_vm(vm.external_id)
    networks.delete(network.external_id)


@promise(when=lambda can: can.networks and can.networks.create and can.networks.update)
def a_network_changes(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab, dhcp=True)
    changed = networks.update(network.external_id, network_spec(lab, dhcp=False))
    assert changed.dhcp is False
    assert networks.get(changed.external_id).dhcp is False
    assert networks.get(changed.external_id).cidrs == network.cidrs


@promise(when=lambda can: can.networks, given=lambda harness: harness.network)
def the_harness_network_is_listed(lab: Lab) -> None:
    assert lab.harness.network in {network.external_id for network in present(lab.driver.networks).list()}


@promise(when=lambda can: can.subnets and can.subnets.create and can.networks and can.networks.create)
def a_subnet_is_part_of_its_network(lab: Lab) -> None:
    subnets, network = present(lab.driver.subnets), made_network(lab)
    first, *_ = ip_network(lab.harness.free_cidr).subnets(prefixlen_diff=1)
    spec = SubnetSpec(name=lab.name("subnet"), network=network.external_id, cidr=str(first))
    subnet = subnets.create(spec)
    lab.undo(lambda: subnets.delete(subnet.external_id, force=True))
    listed = only(each for each in subnets.list() if each.external_id == subnet.external_id)
    assert (listed.name, listed.cidr, listed.network) == (spec.name, spec.cidr, network.external_id)
    with refused(AlreadyExists):
        subnets.create(spec)
    with refused(InvalidRequest):
        subnets.create(spec.model_copy(update={"name": lab.name("outside"), "cidr": "203.0.113.0/30"}))
    renamed = subnets.update(subnet.external_id, spec.model_copy(update={"name": lab.name("other")}))
    assert renamed.name == lab.name("other")
    subnets.delete(renamed.external_id)
    assert renamed.external_id not in {each.external_id for each in subnets.list()}
    with refused(NotFound):
        subnets.delete(renamed.external_id)
