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
from providers.kcontract.core import Core, Info, Result, called, changes, checked, refuse_extras, spec_of

#: Override → field of the spec, where the value is taken as it is.
_FIELDS = {
    "autostart": "autostart",
    "bridge": "bridge",
    "bridgename": "bridge",
    "dhcp_start": "dhcp_start",
    "dhcp_end": "dhcp_end",
    "dual_cidr": "ipv6_cidr",
    "ipv6_cidr": "ipv6_cidr",
    "forward_device": "forward_device",
    "nic": "forward_device",
    "vlan": "vlan",
    "mtu": "mtu",
}
NETWORK_OVERRIDES = frozenset({*_FIELDS, "mode", "forward_mode", "macvtap", "leases", "dns_hosts"})
SUBNET_OVERRIDES = frozenset({"network", "az", "zone", "private", "name", "cidr", "dhcp"})


def _fields(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides as fields of a spec; None is no wish."""
    fields = {_FIELDS[key]: value for key, value in wishes.items() if key in _FIELDS and value is not None}
    if wishes.get("leases") is not None:
        fields["leases"] = [
            {"mac": str(each.get("mac", "")), "address": _address(each), "name": str(each.get("name") or "")}
            for each in wishes["leases"]
        ]
    if wishes.get("dns_hosts") is not None:
        fields["dns_hosts"] = [
            {"address": _address(each), "names": each.get("names", ())} for each in wishes["dns_hosts"]
        ]
    return fields


def _address(wish: Mapping[str, Any]) -> str:
    return str(wish.get("address") or wish.get("ip") or "")


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
        """Without a mode in `overrides`, `nat` chooses between nat and isolated, or what the provider has instead.

        `overrides` may also say `bridge`, `autostart`, `dhcp_start`, `dhcp_end`, `dual_cidr`, `nic` (the host's device;
        with `macvtap` cards sit on it), `vlan`, `mtu`, `leases` and `dns_hosts`.
        """
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
            **_fields(wishes),
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
        changes_mode = nat is not None or bool({"mode", "forward_mode", "macvtap"} & wishes.keys())
        told = {"dhcp": dhcp, "domain": domain, "plan": plan, "cidr": wishes.get("cidr")}
        changed = {key: value for key, value in told.items() if value is not None} | _fields(wishes)
        if changes_mode:
            changed["mode"] = self._mode(wishes, nat if nat is not None else True)
        networks.update(old.external_id, checked(NetworkSpec, lambda: NetworkSpec.like(old, **changed)))
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
        word = wishes.get("mode") or wishes.get("forward_mode") or ("bridge" if wishes.get("macvtap") else "")
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
