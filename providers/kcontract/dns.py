"""DNS: heading 1.10 of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.base import Capabilities, Dns, DnsSpec, InvalidRequest, NotFound, ProviderError
from providers.kcontract import shapes
from providers.kcontract.core import Core, Result, changes, refuse_extras, spec_of


def dns_specs(
    zone: str, name: str, address: str, alias: Sequence[str], types: frozenset[str] = frozenset()
) -> list[DnsSpec]:
    """A name with its address, and aliases that point to it; where there are none of those, to the address."""
    own = spec_of(DnsSpec, zone=zone, name=name, type="AAAA" if ":" in address else "A", data=address)
    if types and "CNAME" not in types:
        return [own, *(own.model_copy(update={"name": each}) for each in alias)]
    return [own, *(spec_of(DnsSpec, zone=zone, name=each, type="CNAME", data=f"{name}.{zone}.") for each in alias)]


def types_of(can: Capabilities) -> frozenset[str]:
    """Types of records that the provider takes; empty when it does not tell."""
    return can.dns.types if can.dns is not None else frozenset()


def reserve_all(dns: Dns, specs: Sequence[DnsSpec], *, force: bool = False) -> None:
    """Enter all of them or none."""
    done: list[DnsSpec] = []
    try:
        for spec in specs:
            dns.reserve(spec, force=force)
            done.append(spec)
    except ProviderError:
        for spec in done:
            dns.delete(spec.zone, spec.name)
        raise


class Names(Core):
    """DNS zones and their records."""

    @changes
    def reserve_dns(
        self,
        name: str,
        nets: Sequence[str | Mapping[str, Any]] = (),
        domain: str | None = None,
        ip: str | None = None,
        alias: Sequence[str] = (),
        force: bool = False,
        primary: bool = False,
        instanceid: str | None = None,
        start: bool = True,
    ) -> Result | None:
        """Enters `name` in the zone `domain`: with `ip`, else an address of `nets`, else that of the VM of this name
        or `instanceid`. Aliases point to it; all names are entered or none."""
        del start
        refuse_extras("reserve_dns", {"primary": primary}, ())
        dns = self.facet(self.driver.dns, "DNS")
        if not domain:
            raise InvalidRequest("A name needs its zone.", field="domain")
        address = ip or next((str(net["ip"]) for net in nets if isinstance(net, Mapping) and net.get("ip")), "")
        if not address:
            vm = self.driver.machines.get(instanceid) if instanceid else self.vm(name)
            address = shapes.main_address(vm) or ""
        if not address:
            raise NotFound(f"No address of “{name}” is known.", field="ip")
        reserve_all(dns, dns_specs(domain, name, address, alias, types_of(self.can)), force=force)
        return None

    @changes
    def delete_dns(self, name: str, domain: str, allentries: bool = False) -> Result | None:
        self.facet(self.driver.dns, "DNS").delete(domain, name, all_entries=allentries)
        return None

    def list_dns(self, domain: str) -> list[list[Any]]:
        """Rows of [entry, type, ttl, data]; empty for a zone that is not there."""
        if self.driver.dns is None:
            return []
        try:
            rows = self.driver.dns.list(domain)
        except NotFound:
            return []
        return [[row.name, row.type, row.ttl_s, row.data] for row in rows]

    def list_dns_zones(self) -> list[str]:
        return sorted(self.driver.dns.zones()) if self.driver.dns is not None else []
