"""Addresses and names that networks keep for a VM: from headings 1.3 and 1.7 of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_address, ip_network
from typing import Any

from providers.base import (
    DnsHost,
    InvalidRequest,
    NetworkRecord,
    NetworkSpec,
    NicRecord,
    NotFound,
    NotSupported,
    ProviderError,
    StaticLease,
    VmRecord,
)
from providers.kcontract.core import Core, Result, called, changes, checked


class Reservations(Core):
    """What DHCP and DNS of a VM's networks keep for it."""

    @changes
    def update_reserveip(self, name: str) -> Result | None:
        """Keeps the address that each card has now, where its network gives it out; all are kept or none."""
        networks = self.facet(self.driver.networks, "networks")
        if self.can.networks is None or not self.can.networks.static_leases:
            raise NotSupported("The networks of this provider keep no addresses.")
        vm, known = self.vm(name), self.network_names()
        wishes = [
            (network, nic, address)
            for nic in vm.nics or ()
            if (network := known.get(nic.network)) is not None and (address := _given(nic, network))
        ]
        if not wishes:
            raise NotFound(f"“{name}” has no address from a network that could keep it.")
        with ExitStack() as undo:
            named: set[str] = set()
            for network, nic, address in wishes:
                before = {lease.mac for lease in network.leases}
                # In one network a name can stand for one card only.
                own = _host_name(name) if network.external_id not in named else ""
                networks.reserve(network.external_id, StaticLease(mac=nic.mac, address=address, name=own))
                named.add(network.external_id)
                if nic.mac not in before:
                    undo.callback(_quietly(networks.release), network.external_id, nic.mac)
            undo.pop_all()
        return None

    @changes
    def reserve_host(self, name: str, nets: Sequence[str | Mapping[str, Any]], domain: str | None) -> Result | None:
        """Enters the VM's name, with `domain` also its full one, in the DNS of these networks, or of all of its own.

        The address is the net's `ip`, else what the VM has there.
        """
        self._refuse_hosts()
        known = self.network_names()
        vm = self.vm_or_none(name)
        wishes = [_wish(net, known, vm) for net in nets] if nets else _own(vm, known)
        if not wishes:
            raise NotFound(f"No address of “{name}” is known in a network that could answer its name.")
        for network, address in wishes:
            self._enter_host(network.external_id, address, name, domain)
        return None

    def _refuse_hosts(self) -> None:
        """Raise NotSupported where networks know no names."""
        if self.can.networks is None or not self.can.networks.dns_hosts:
            raise NotSupported("The networks of this provider know no names.", field="reservehost")

    def _enter_host(self, network_id: str, address: str, name: str, domain: str | None) -> None:
        networks = self.facet(self.driver.networks, "networks")
        network = networks.get(network_id)
        names = (name, f"{name}.{domain}") if domain else (name,)
        hosts = _with(network.dns_hosts, address, names)
        networks.update(network_id, checked(NetworkSpec, lambda: NetworkSpec.like(network, dns_hosts=hosts)))


def _given(nic: NicRecord, network: NetworkRecord) -> str:
    """The card's address that this network's DHCP can keep; empty when there is none."""
    ranges = [ip_network(cidr) for cidr in network.cidrs] if network.dhcp else []
    found = (each for each in nic.addresses if "." in each and any(ip_address(each) in part for part in ranges))
    return next(found, "")


def _wish(
    net: str | Mapping[str, Any], known: Mapping[str, NetworkRecord], vm: VmRecord | None
) -> tuple[NetworkRecord, str]:
    wish = {"name": net} if isinstance(net, str) else dict(net)
    if not wish.get("name"):
        raise InvalidRequest("A net needs the name of its network.", field="nets")
    network = called(known.values(), str(wish["name"]), "network")
    address = str(wish.get("ip") or "") or next((each for owner, each in _own(vm, known) if owner == network), "")
    if not address:
        raise NotFound(f"The VM has no address in “{network.name}”.", field="nets")
    return network, address


def _own(vm: VmRecord | None, known: Mapping[str, NetworkRecord]) -> list[tuple[NetworkRecord, str]]:
    """The VM's networks that have ranges of their own, with its address there."""
    nics = (vm.nics or ()) if vm is not None else ()
    return [
        (network, nic.addresses[0])
        for nic in nics
        if nic.addresses and (network := known.get(nic.network)) is not None and network.cidrs
    ]


def _with(hosts: Sequence[DnsHost], address: str, names: Sequence[str]) -> tuple[DnsHost, ...]:
    """The entries with these names at this address, and nowhere else."""
    others = [
        DnsHost(address=host.address, names=left)
        for host in hosts
        if host.address != address and (left := tuple(each for each in host.names if each not in names))
    ]
    here = [each for host in hosts if host.address == address for each in host.names]
    return (*others, DnsHost(address=address, names=tuple(dict.fromkeys([*here, *names]))))


def _host_name(name: str) -> str:
    """The VM's name where that is a host name too."""
    fits = name.isascii() and all(each.isalnum() or each in "-_" for each in name) and not name.startswith("-")
    return name if fits and len(name) <= 63 and not name.endswith("-") else ""


def _quietly(step: Any) -> Any:
    def attempt(*arguments: str) -> None:
        with suppress(ProviderError):
            step(*arguments)

    return attempt
