"""Load balancers of a simulated cloud."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    QUIET,
    AlreadyExists,
    InvalidRequest,
    LoadBalancerRecord,
    LoadBalancers,
    LoadBalancerSpec,
    OutOfCapacity,
    Progress,
)
from providers.fake.cloud import Part
from providers.fake.records import load_balancer_record
from providers.fake.state import LoadBalancer
from providers.fake.vms import vm_of


class FakeLoadBalancers(Part, LoadBalancers):
    def list(self) -> Sequence[LoadBalancerRecord]:
        with self.cloud.reading("load_balancers.list") as tx:
            return [load_balancer_record(each) for each in tx.all(LoadBalancer)]

    def create(self, spec: LoadBalancerSpec, progress: Progress = QUIET) -> LoadBalancerRecord:
        """Takes the lowest free address of 203.0.113.0/24."""
        if not spec.ports or not all(1 <= port <= 65535 for port in spec.ports):
            raise InvalidRequest("A load balancer needs ports between 1 and 65535.", field="ports")
        with self.cloud.writing("load_balancers.create", progress=progress) as tx:
            if tx.named(LoadBalancer, spec.name) is not None:
                raise AlreadyExists(f"There is a load balancer “{spec.name}” already.", field="name")
            for target in spec.targets:
                vm_of(tx, target)
            taken = {each.address for each in tx.all(LoadBalancer)}
            free = (f"203.0.113.{last}" for last in range(200, 255))
            address = next((each for each in free if each not in taken), None)
            if address is None:
                raise OutOfCapacity("There is no public address left.")
            balancer = LoadBalancer(
                id=f"lb-{tx.next_number('load_balancer')}",
                name=spec.name,
                address=address,
                protocol=spec.protocol,
                ports=list(spec.ports),
                targets=list(spec.targets),
                check_path=spec.check_path,
                check_port=spec.check_port,
                internal=spec.internal,
            )
            tx.put(balancer)
            progress.report(100, "The load balancer is there.")
            return load_balancer_record(balancer)

    def delete(self, external_id: str) -> None:
        with self.cloud.writing("load_balancers.delete") as tx:
            tx.drop(tx.get(LoadBalancer, external_id))
