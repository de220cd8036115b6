"""The project as a whole: how much is in it. The API tells no limits."""

from __future__ import annotations

from providers.base import Host, HostRecord
from providers.hcloud.part import Part

#: Counted by one call each.
COUNTED = ("volumes", "networks", "firewalls", "load_balancers", "primary_ips", "ssh_keys")


class HcloudHost(Part, Host):
    def info(self) -> HostRecord:
        servers = self.api.pages("servers")
        running = [server for server in servers if server["status"] == "running"]
        snapshots = int(self.api.get("/images", type="snapshot", per_page=1)["meta"]["pagination"]["total_entries"])
        details = {table: self.api.count(table) for table in COUNTED}
        return HostRecord(
            name="Hetzner Cloud project",
            cpus_used=sum(server["server_type"]["cores"] for server in running),
            memory_used_mib=int(sum(server["server_type"]["memory"] for server in running) * 1024),
            vms_running=len(running),
            vms_total=len(servers),
            details={**details, "snapshots": snapshots, "location": self.api.config.location},
        )
