"""The account in its region, as far as AWS tells a summary."""

from __future__ import annotations

from providers.aws import inventory, placement, rights
from providers.aws.cloud import Part
from providers.base import Host, HostRecord, PowerState, ProviderError

#: The quota of vCPUs of the ordinary families (A, C, D, H, I, M, R, T, Z).
VCPU_QUOTA = "L-1216C47A"
QUOTA_S = 6 * 3600.0


class AwsHost(Part, Host):
    def info(self) -> HostRecord:
        """The quota of vCPUs is told where the key may read quotas."""
        found = rights.known(self.cloud)
        vms = inventory.all_vms(self.cloud)
        running = [vm for vm in vms if vm.power is PowerState.RUNNING]
        return HostRecord(
            name=f"{found.account} in {self.cloud.config.region}",
            cpus_total=self._quota(),
            cpus_used=sum(vm.vcpus or 0 for vm in running),
            vms_running=len(running),
            vms_total=len(vms),
            details={
                "account": found.account,
                "user": found.arn,
                "region": self.cloud.config.region,
                "zones": placement.zones(self.cloud),
            },
        )

    def _quota(self) -> int | None:
        if "quotas" not in rights.known(self.cloud).may:
            return None
        known: int | None = self.cloud.remembered("quota")
        if known is None:
            try:
                told = self.cloud.call("service-quotas", "get_service_quota", ServiceCode="ec2", QuotaCode=VCPU_QUOTA)
            except ProviderError:
                return None
            known = self.cloud.remember("quota", int(told["Quota"]["Value"]), QUOTA_S)
        return known
