"""The provider as a whole: heading 1.11 of the contract, second half."""

from __future__ import annotations

from providers.kcontract import shapes
from providers.kcontract.core import Core, Info


class HostInfo(Core):
    """The provider as a whole."""

    def info_host(self) -> Info:
        """Capacity and load; memory in MiB. `storage` and `networks` are lists of sentences. {} where not told.

        `memory_used` is what running VMs may take, `memory_in_use` what everything on the host takes at this moment.
        """
        if self.driver.host is None:
            return {}
        host = self.driver.host.info()
        facts: Info = {
            "connection": self.plugin.kind if self.plugin is not None else "",
            "host": host.name,
            "version": host.version,
            "vms_running": host.vms_running,
            "vms": host.vms_total,
            "cpus_total": host.cpus_total,
            "cpus_used": host.cpus_used,
            "memory_used": host.memory_used_mib,
            "memory_total": host.memory_total_mib,
        }
        if self.driver.metrics is not None and self.can.metrics is not None and self.can.metrics.host:
            now = self.driver.metrics.host_sample()
            facts |= {"memory_in_use": now.memory_used_mib, "load": now.load_1m}
        shape = {key: value for key, value in facts.items() if value is not None}
        gb = shapes.whole_gb
        shape["storage"] = [
            f"{pool.name}: {pool.type}, {pool.path}, {gb(pool.available_gib)} of {gb(pool.capacity_gib)} GB free"
            for pool in self.pools_by_id().values()
        ]
        shape["networks"] = [
            f"{network.name}: {network.mode.value}, {', '.join(network.cidrs) or shapes.NOT_AVAILABLE}"
            for network in self.network_names().values()
        ]
        return {**dict(host.details), **shape}
