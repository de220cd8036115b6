"""The simulated cloud as a whole."""

from __future__ import annotations

from providers.base import Host, HostRecord, PowerState
from providers.fake.cloud import Part
from providers.fake.state import Vm


class FakeHost(Part, Host):
    def info(self) -> HostRecord:
        config = self.cloud.config
        with self.cloud.reading("host.info") as tx:
            vms = [vm for vm in tx.all(Vm) if not vm.is_building]
            for vm in vms:
                vm.settle(tx.now)
            on = [vm for vm in vms if not vm.is_stopped]
            return HostRecord(
                name="fake-host",
                version="1",
                cpus_total=config.cpus or None,
                cpus_used=sum(vm.vcpus for vm in on),
                memory_total_mib=config.memory_mib or None,
                memory_used_mib=sum(vm.memory_mib for vm in on),
                vms_running=sum(vm.power is PowerState.RUNNING for vm in vms),
                vms_total=len(vms),
                details={"virt_type": "simulated", "file": config.path or "in memory"},
            )
