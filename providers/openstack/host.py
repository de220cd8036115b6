"""The project as a whole: its limits and what it uses of them."""

from __future__ import annotations

from typing import Any

from providers.base import Host, HostRecord
from providers.openstack.errors import vendor_calls
from providers.openstack.part import Part


class OpenStackHost(Part, Host):
    def info(self) -> HostRecord:
        with vendor_calls():
            limits = self.cloud.compute.get("/limits")["limits"]["absolute"]
            storage: dict[str, Any] = {}
            if self.cloud.volume is not None:
                storage = self.cloud.volume.get("/limits")["limits"]["absolute"]
        access = self.cloud.access
        details = {
            "region": self.cloud.region,
            "project": access.project_name or access.project_id or "",
            "roles": sorted(access.role_names or ()),
            "compute_microversion": ".".join(map(str, self.cloud.compute.knows)),
            "instances_limit": _limit(limits.get("maxTotalInstances")),
            "volumes_used": storage.get("totalVolumesUsed"),
            "volumes_limit": _limit(storage.get("maxTotalVolumes")),
            "storage_used_gib": storage.get("totalGigabytesUsed"),
            "storage_limit_gib": _limit(storage.get("maxTotalVolumeGigabytes")),
            "services_absent": ", ".join(self.cloud.absent) or None,
        }
        return HostRecord(
            name=access.project_name or "project",
            version="OpenStack",
            cpus_total=_limit(limits.get("maxTotalCores")),
            cpus_used=limits.get("totalCoresUsed"),
            memory_total_mib=_limit(limits.get("maxTotalRAMSize")),
            memory_used_mib=limits.get("totalRAMUsed"),
            vms_total=limits.get("totalInstancesUsed"),
            details={key: value for key, value in details.items() if value is not None},
        )


def _limit(value: Any) -> int | None:
    """-1 means that there is none."""
    return int(value) if value is not None and int(value) >= 0 else None
