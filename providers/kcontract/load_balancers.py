"""Load balancers: heading 1.11 of the contract, first half."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import InvalidRequest, LoadBalancerSpec, ProviderError
from providers.kcontract.core import Core, Result, called, changes, refuse_extras, spec_of, whole_number
from providers.kcontract.dns import dns_specs, reserve_all


class LoadBalancers(Core):
    """What stands before VMs."""

    @changes
    def create_loadbalancer(
        self,
        name: str,
        ports: Sequence[int | str] = (),
        checkpath: str = "/index.html",
        vms: Sequence[str] = (),
        domain: str | None = None,
        checkport: int = 80,
        alias: Sequence[str] = (),
        internal: bool = False,
        dnsclient: str | None = None,
        ip: str | None = None,
    ) -> Result | None:
        """The answer tells its `ip`. With `domain` its name (and aliases) are entered there; a fixed `ip` and another
        client for DNS cannot be honoured."""
        refuse_extras("create_loadbalancer", {"ip": ip, "dnsclient": dnsclient}, ())
        if alias and not domain:
            raise InvalidRequest("Aliases need a domain.", field="alias")
        balancers = self.facet(self.driver.load_balancers, "load balancers")
        dns = self.facet(self.driver.dns, "DNS") if domain else None
        made = balancers.create(
            spec_of(
                LoadBalancerSpec,
                name=name,
                ports=tuple(whole_number(port, "A port") for port in ports),
                targets=tuple(self.vm(vm).external_id for vm in vms),
                check_path=checkpath,
                check_port=checkport,
                internal=internal,
            )
        )
        if dns is not None and domain:
            try:
                reserve_all(dns, dns_specs(domain, name, made.address, alias))
            except ProviderError:
                balancers.delete(made.external_id)
                raise
        return {"ip": made.address}

    @changes
    def delete_loadbalancer(self, name: str) -> Result | None:
        balancers = self.facet(self.driver.load_balancers, "load balancers")
        balancers.delete(called(balancers.list(), name, "load balancer").external_id)
        return None

    def list_loadbalancers(self) -> list[list[str]]:
        """Rows of [name, ip, protocol, ports, targets]; ports joined by "+", targets are names joined by ","."""
        if self.driver.load_balancers is None:
            return []
        names = {vm.external_id: vm.name for vm in self.driver.machines.list()}
        return [
            [
                each.name,
                each.address,
                each.protocol,
                "+".join(str(port) for port in each.ports),
                ",".join(names.get(target, target) for target in each.targets),
            ]
            for each in sorted(self.driver.load_balancers.list(), key=lambda each: each.name)
        ]
