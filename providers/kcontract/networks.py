"""Networks and subnets: heading 1.7 of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import (
    InvalidRequest,
    NetworkMode,
    NetworkRecord,
    NetworkSpec,
    NotFound,
    NotSupported,
    SubnetRecord,
    SubnetSpec,
)
from providers.kcontract import shapes
from providers.kcontract.core import Core, Info, Result, called, changes, refuse_extras, spec_of

NETWORK_OVERRIDES = frozenset({"mode", "forward_mode", "bridge", "bridgename", "autostart"})
SUBNET_OVERRIDES = frozenset({"network", "az", "zone", "private", "name", "cidr", "dhcp"})


class Networks(Core):
    """What VMs are plugged into."""

    def net_exists(self, name: str) -> bool:
        return self._network(name) is not None

    @changes
    def create_network(
        self,
        name: str,
        cidr: str | None = None,
        dhcp: bool = True,
        nat: bool = True,
        domain: str | None = None,
        plan: str = "kvirt",
        overrides: Mapping[str, Any] | None = None,
    ) -> Result | None:
        """`overrides` may say `mode`, `bridge` and `autostart`; without a mode, `nat` chooses between nat and
        isolated, or what the provider has instead."""
        wishes = dict(overrides or {})
        refuse_extras("create_network", wishes, NETWORK_OVERRIDES)
        networks = self.facet(self.driver.networks, "networks")
        spec = spec_of(
            NetworkSpec,
            name=name,
            cidr=cidr or "",
            dhcp=dhcp,
            domain=domain or "",
            plan=plan,
            mode=self._mode(wishes, nat),
            bridge=str(wishes.get("bridge") or wishes.get("bridgename") or ""),
            autostart=bool(wishes.get("autostart", True)),
        )
        networks.create(spec)
        return None

    @changes
    def update_network(
        self,
        name: str,
        dhcp: bool | None = None,
        nat: bool | None = None,
        domain: str | None = None,
        plan: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Result | None:
        """None leaves a value as it is."""
        wishes = dict(overrides or {})
        refuse_extras("update_network", wishes, NETWORK_OVERRIDES | {"cidr"})
        networks = self.facet(self.driver.networks, "networks")
        old = called(networks.list(), name, "network")
        changes_mode = nat is not None or "mode" in wishes or "forward_mode" in wishes
        spec = spec_of(
            NetworkSpec,
            name=old.name,
            cidr=str(wishes.get("cidr") or (old.cidrs[0] if old.cidrs else "")),
            dhcp=bool(old.dhcp) if dhcp is None else dhcp,
            domain=old.domain if domain is None else domain,
            plan=old.plan if plan is None else plan,
            mode=self._mode(wishes, nat if nat is not None else True) if changes_mode else old.mode,
            bridge=str(wishes.get("bridge") or wishes.get("bridgename") or old.bridge),
            autostart=bool(wishes.get("autostart", True if old.autostart is None else old.autostart)),
        )
        networks.update(old.external_id, spec)
        return None

    @changes
    def delete_network(self, name: str | None = None, cidr: str | None = None, force: bool = False) -> Result | None:
        """By name, or by range; a failure while VMs use it, unless forced."""
        networks = self.facet(self.driver.networks, "networks")
        if not name and not cidr:
            raise InvalidRequest("Say which network: its name or its range.")
        known = networks.list()
        if name:
            found = called(known, name, "network")
            if cidr and cidr not in found.cidrs:
                raise InvalidRequest(f"The network “{name}” does not have the range {cidr}.")
        else:
            matching = [each for each in known if cidr in each.cidrs]
            if len(matching) != 1:
                raise NotFound(f"{len(matching)} networks have the range {cidr}.")
            found = matching[0]
        networks.delete(found.external_id, force=force)
        return None

    def list_networks(self) -> dict[str, Info]:
        return {network.name: shapes.network(network) for network in self._sorted()}

    def info_network(self, name: str) -> Info:
        """The network with its name, {} when there is none."""
        network = self._network(name)
        return {} if network is None else {"name": network.name, **shapes.network(network)}

    def network_ports(self, name: str) -> list[str]:
        """Names of the VMs that are plugged in, sorted."""
        network = self._network(name)
        if network is None:
            return []
        keys = {network.external_id, network.bridge or network.external_id}
        vms = self.driver.machines.list()
        return sorted(vm.name for vm in vms if any(nic.network in keys for nic in vm.nics or ()))

    def _sorted(self) -> list[NetworkRecord]:
        return sorted(self.network_names().values(), key=lambda network: network.name)

    def _network(self, name: str) -> NetworkRecord | None:
        try:
            return called(self.network_names().values(), name, "network")
        except NotFound:
            return None

    def _mode(self, wishes: Mapping[str, Any], nat: bool) -> NetworkMode:
        modes: frozenset[NetworkMode] = self.can.networks.modes if self.can.networks is not None else frozenset()
        word = wishes.get("mode") or wishes.get("forward_mode")
        if word:
            try:
                return NetworkMode(str(word))
            except ValueError:
                raise InvalidRequest(f"There is no network mode “{word}”.", field="mode") from None
        liked: tuple[NetworkMode, ...] = (NetworkMode.NAT,) if nat else (NetworkMode.ISOLATED, NetworkMode.ROUTE)
        for mode in (*liked, NetworkMode.PROVIDER):
            if mode in modes:
                return mode
        raise NotSupported("This provider has no network of that sort.", field="nat")

    # -- subnets ----------------------------------------------------------------------------------------------------

    @changes
    def create_subnet(
        self,
        name: str,
        cidr: str,
        dhcp: bool = True,
        nat: bool = True,
        domain: str | None = None,
        plan: str = "kvirt",
        overrides: Mapping[str, Any] | None = None,
    ) -> Result | None:
        """The network comes in `overrides["network"]`, the zone in `az`; `nat=False` makes it private."""
        wishes = dict(overrides or {})
        refuse_extras("create_subnet", {"domain": domain, "plan": None if plan == "kvirt" else plan}, ())
        refuse_extras("create_subnet", wishes, SUBNET_OVERRIDES - {"name", "cidr"})
        subnets = self.facet(self.driver.subnets, "subnets")
        if not wishes.get("network"):
            raise InvalidRequest("A subnet needs its network (overrides: network).", field="network")
        subnets.create(
            spec_of(
                SubnetSpec,
                name=name,
                network=self.network_id(str(wishes["network"])),
                cidr=cidr,
                dhcp=dhcp,
                zone=str(wishes.get("az") or wishes.get("zone") or ""),
                private=bool(wishes.get("private", not nat)),
            )
        )
        return None

    @changes
    def update_subnet(self, name: str, overrides: Mapping[str, Any] | None = None) -> Result | None:
        """`overrides` may change name, cidr, az and private."""
        wishes = dict(overrides or {})
        refuse_extras("update_subnet", wishes, SUBNET_OVERRIDES)
        subnets = self.facet(self.driver.subnets, "subnets")
        old = called(subnets.list(), name, "subnet")
        network = wishes.get("network")
        spec = spec_of(
            SubnetSpec,
            name=str(wishes.get("name") or old.name),
            network=self.network_id(str(network)) if network else old.network,
            cidr=str(wishes.get("cidr") or old.cidr),
            dhcp=bool(wishes.get("dhcp", True)),
            zone=str(wishes.get("az") or wishes.get("zone") or old.zone),
            private=bool(wishes.get("private", old.is_private)),
        )
        subnets.update(old.external_id, spec)
        return None

    @changes
    def delete_subnet(self, name: str, force: bool = False) -> Result | None:
        subnets = self.facet(self.driver.subnets, "subnets")
        subnets.delete(called(subnets.list(), name, "subnet").external_id, force=force)
        return None

    def list_subnets(self) -> dict[str, Info]:
        networks = self.network_names()
        subnets = self.driver.subnets.list() if self.driver.subnets is not None else ()
        return {each.name: self._subnet(each, networks) for each in sorted(subnets, key=lambda each: each.name)}

    def info_subnet(self, name: str) -> Info:
        """The subnet with its name, {} when there is none."""
        found = self.list_subnets().get(name)
        return {} if found is None else {"name": name, **found}

    @staticmethod
    def _subnet(subnet: SubnetRecord, networks: Mapping[str, NetworkRecord]) -> Info:
        network = networks.get(subnet.network)
        shape: Info = {
            "cidr": subnet.cidr,
            "az": subnet.zone,
            "id": subnet.external_id,
            "network": network.name if network is not None else subnet.network,
        }
        return shape if subnet.is_private is None else {**shape, "private": subnet.is_private}
