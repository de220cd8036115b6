"""Networks and subnets: ranges are checked, addresses are kept, names are unique, nothing is deleted under a VM."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from providers.base import (
    AlreadyExists,
    Conflict,
    DnsHost,
    InvalidRequest,
    NetworkMode,
    NetworkRecord,
    NetworkSpec,
    NicSpec,
    NotFound,
    StaticLease,
    SubnetSpec,
)
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise

#: The first of these that the provider can do is used: one that touches nothing outside is the kindest.
PREFERRED = (
    NetworkMode.ISOLATED,
    NetworkMode.NAT,
    NetworkMode.ROUTE,
    NetworkMode.PROVIDER,
    NetworkMode.OPEN,
    NetworkMode.BRIDGE,
)


MAC, OTHER_MAC = "52:54:00:ab:cd:01", "52:54:00:ab:cd:02"


def second_range(lab: Lab) -> str:
    """A range of IPv6 for documentation (RFC 3849), which nobody routes and no other lab uses."""
    return f"2001:db8:{int(lab.suffix[:4], 16):x}:{int(lab.suffix[4:], 16) or 1:x}::/64"


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
    ranges = (lab.harness.free_cidr,) if lab.harness.free_cidr else ()
    assert (network.name, network.cidrs) == (lab.name("net"), ranges)
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
    if lab.harness.free_cidr:
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
    assert networks.get(network.external_id).used_by == (vm.external_id,)
    with refused(Conflict):
        networks.delete(network.external_id)
    assert networks.get(network.external_id).used_by == (vm.external_id,)
    lab.delete_vm(vm.external_id)
    assert networks.get(network.external_id).used_by == ()
    networks.delete(network.external_id)


@promise(
    when=lambda can: can.networks and can.networks.create and can.networks.update,
    given=lambda harness: harness.free_cidr,
)
def a_network_changes(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab, dhcp=True)
    changed = networks.update(network.external_id, network_spec(lab, dhcp=False))
    assert changed.dhcp is False
    assert networks.get(changed.external_id).dhcp is False
    assert networks.get(changed.external_id).cidrs == network.cidrs


@promise(
    when=lambda can: can.networks and can.networks.create and can.networks.update,
    given=lambda harness: harness.free_cidr,
)
def what_is_wished_like_a_network_is_changes_nothing(lab: Lab) -> None:
    networks, can, network = present(lab.driver.networks), present(lab.can.networks), made_network(lab, dhcp=True)
    inside = ip_network(lab.harness.free_cidr)
    wishes: dict[str, Any] = {"dhcp_start": str(inside[20]), "dhcp_end": str(inside[30])} if can.dhcp_range else {}
    wishes |= {"leases": (StaticLease(mac=MAC, address=str(inside[15]), name="one"),)} if can.static_leases else {}
    wishes |= {"dns_hosts": (DnsHost(address=str(inside[16]), names=("two",)),)} if can.dns_hosts else {}
    wishes |= {"mtu": 1400} if can.mtu else {}
    changed = networks.update(network.external_id, NetworkSpec.like(network, **wishes))
    assert {name: getattr(changed, name) for name in wishes} == wishes
    again = networks.update(network.external_id, NetworkSpec.like(changed))
    assert again == changed
    assert {name: getattr(networks.get(network.external_id), name) for name in wishes} == wishes


@promise(when=lambda can: can.networks and can.networks.create and can.networks.update and can.networks.dns_hosts)
def a_deleted_vm_takes_its_name_and_its_kept_address_along(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab, dhcp=True)
    inside, key = ip_network(lab.harness.free_cidr), network.external_id
    vm = lab.vm(nics=(NicSpec(network=key),))
    own, foreign = str(inside[16]), str(inside[17])
    hosts = (
        DnsHost(address=own, names=(vm.name, f"{vm.name}.example.test", "other")),
        DnsHost(address=foreign, names=(vm.name,)),
    )
    wishes: dict[str, Any] = {"dns_hosts": hosts}
    if present(lab.can.networks).static_leases:
        wishes["leases"] = (
            StaticLease(mac=only(present(vm.nics)).mac, address=own),
            StaticLease(mac=MAC, address=foreign),
        )
    networks.update(key, NetworkSpec.like(network, **wishes))
    lab.delete_vm(vm.external_id)
    left = networks.get(key)
    names = {host.address: host.names for host in left.dns_hosts}
    assert names.get(own) == ("other",)
    if "leases" in wishes:
        # That address is another card's by now, so its name may be another machine's.
        assert names.get(foreign) == (vm.name,)
        assert [lease.mac for lease in left.leases] == [MAC]


@promise(when=lambda can: can.networks and can.networks.create and can.networks.activate)
def a_network_is_switched_off_and_on(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab)
    for active in (False, False, True, True):
        assert networks.set_active(network.external_id, active).is_active is active
        assert networks.get(network.external_id).is_active is active
    with refused(NotFound):
        networks.set_active("no-such-network", True)


@promise(when=lambda can: can.networks and can.networks.create and can.networks.activate and can.power)
def a_network_is_not_switched_off_under_a_running_vm(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab)
    vm = lab.vm(nics=(NicSpec(network=network.external_id),), start=True)
    with refused(Conflict):
        networks.set_active(network.external_id, False)
    assert networks.get(network.external_id).is_active
    lab.delete_vm(vm.external_id)


@promise(when=lambda can: can.networks and can.networks.create and can.networks.static_leases)
def an_address_is_kept_for_one_card_until_it_is_given_back(lab: Lab) -> None:
    networks, network = present(lab.driver.networks), made_network(lab, dhcp=True)
    inside, key = ip_network(lab.harness.free_cidr), network.external_id
    lease = StaticLease(mac=MAC, address=str(inside[15]), name="one")
    assert networks.reserve(key, lease).leases == networks.reserve(key, lease).leases == (lease,)
    told = only(row for row in networks.leases(key) if row.mac == MAC)
    assert (told.address, told.is_static, told.expires_at) == (lease.address, True, None)
    moved = StaticLease(mac=MAC, address=str(inside[16]), name="one")
    assert networks.reserve(key, moved).leases == (moved,)
    with refused(AlreadyExists):
        networks.reserve(key, StaticLease(mac=OTHER_MAC, address=moved.address))
    with refused(AlreadyExists):
        networks.reserve(key, StaticLease(mac=OTHER_MAC, address=lease.address, name="one"))
    for wrong in (
        StaticLease(mac=OTHER_MAC, address="203.0.113.200"),
        StaticLease(mac=OTHER_MAC, address="nowhere"),
        StaticLease(mac="nobody", address=lease.address),
    ):
        with refused(InvalidRequest):
            networks.reserve(key, wrong)
    assert networks.get(key).leases == (moved,)
    assert networks.release(key, MAC).leases == ()
    with refused(NotFound):
        networks.release(key, MAC)
    assert not [row for row in networks.leases(key) if row.is_static]
    silent = networks.update(key, NetworkSpec.like(networks.get(key), dhcp=False))
    with refused(Conflict):
        networks.reserve(silent.external_id, lease)


@promise(when=lambda can: can.networks and can.networks.create and can.networks.dhcp_range)
def a_dhcp_range_lies_inside_its_network(lab: Lab) -> None:
    networks, inside = present(lab.driver.networks), ip_network(lab.harness.free_cidr)
    for first, last in (("203.0.113.5", ""), ("", "203.0.113.9"), (str(inside[9]), str(inside[8])), ("ten", "")):
        with refused(InvalidRequest):
            networks.create(network_spec(lab, dhcp_start=first, dhcp_end=last))
    network = made_network(lab, dhcp_start=str(inside[20]), dhcp_end=str(inside[30]))
    assert (network.dhcp_start, network.dhcp_end) == (str(inside[20]), str(inside[30]))


@promise(when=lambda can: can.networks and can.networks.create and can.networks.ipv6)
def a_network_has_a_range_of_each_family(lab: Lab) -> None:
    second = second_range(lab)
    network = made_network(lab, ipv6_cidr=second)
    assert [ip_network(cidr) for cidr in network.cidrs] == [ip_network(lab.harness.free_cidr), ip_network(second)]
    with refused(InvalidRequest):
        present(lab.driver.networks).create(network_spec(lab, name=lab.name("other"), cidr="", ipv6_cidr="10.0.0.0/24"))


@promise(when=lambda can: can.networks, given=lambda harness: harness.network)
def the_harness_network_is_listed(lab: Lab) -> None:
    assert lab.harness.network in {network.external_id for network in present(lab.driver.networks).list()}


@promise(when=lambda can: can.subnets and can.subnets.create and can.networks and can.networks.create)
def a_subnet_is_part_of_its_network(lab: Lab) -> None:
    first, second = ip_network(lab.harness.free_cidr).subnets(prefixlen_diff=1)
    brings_its_range = present(lab.can.subnets).own_range
    subnets = present(lab.driver.subnets)
    network = made_network(lab, cidr=str(second)) if brings_its_range else made_network(lab)
    spec = SubnetSpec(name=lab.name("subnet"), network=network.external_id, cidr=str(first))
    subnet = subnets.create(spec)
    lab.undo(lambda: subnets.delete(subnet.external_id, force=True))
    listed = only(each for each in subnets.list() if each.external_id == subnet.external_id)
    assert (listed.name, listed.cidr, listed.network) == (spec.name, spec.cidr, network.external_id)
    with refused(AlreadyExists):
        subnets.create(spec)
    if brings_its_range:
        assert set(present(lab.driver.networks).get(network.external_id).cidrs) == {str(first), str(second)}
        with refused(AlreadyExists):
            subnets.create(spec.model_copy(update={"name": lab.name("beside"), "cidr": str(second)}))
    else:
        with refused(InvalidRequest):
            subnets.create(spec.model_copy(update={"name": lab.name("outside"), "cidr": "203.0.113.0/30"}))
    renamed = subnets.update(subnet.external_id, spec.model_copy(update={"name": lab.name("other")}))
    assert renamed.name == lab.name("other")
    subnets.delete(renamed.external_id)
    assert renamed.external_id not in {each.external_id for each in subnets.list()}
    with refused(NotFound):
        subnets.delete(renamed.external_id)
