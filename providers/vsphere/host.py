"""The provider as a whole: all hosts of the datacenter together."""

from __future__ import annotations

from providers.base import Host, HostRecord
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.privileges import lacking
from providers.vsphere.properties import Found, in_view, retrieve, wanted
from providers.vsphere.site import read_site

_HOST_PATHS = (
    "name",
    "parent",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "summary.hardware.numCpuThreads",
    "summary.hardware.cpuMhz",
    "summary.hardware.numCpuCores",
    "summary.hardware.memorySize",
    "summary.quickStats.overallCpuUsage",
    "summary.quickStats.overallMemoryUsage",
)
_MIB = 1024**2


class VsphereHost(Part, Host):
    def info(self) -> HostRecord:
        """Sums of all hosts; each host and cluster is named among the details, and which rights the account lacks."""
        with vendor_calls():
            view = self.connection.view(vim.HostSystem, vim.ComputeResource, vim.VirtualMachine)
            asked = [
                wanted(vim.HostSystem, *_HOST_PATHS),
                wanted(vim.ComputeResource, "name"),
                wanted(vim.VirtualMachine, "runtime.powerState", "config.template"),
            ]
            found = list(retrieve(self.connection, [in_view(view)], asked))
            about = self.connection.content.about
            missing = lacking(self.connection, read_site(self.connection))
        hosts = [each for each in found if each.kind == "HostSystem"]
        vms = [each for each in found if each.kind == "VirtualMachine" and not each.is_true("config.template")]
        names = {each.id: each.text("name") for each in found if each.kind.endswith("ComputeResource")}
        return HostRecord(
            name=self.connection.datacenter_name,
            version=str(about.fullName or about.version or ""),
            cpus_total=sum(each.number("summary.hardware.numCpuThreads") or 0 for each in hosts),
            cpus_used=sum(_busy_cpus(each) for each in hosts),
            memory_total_mib=sum((each.number("summary.hardware.memorySize") or 0) // _MIB for each in hosts),
            memory_used_mib=sum(each.number("summary.quickStats.overallMemoryUsage") or 0 for each in hosts),
            vms_running=sum(each.text("runtime.powerState") == "poweredOn" for each in vms),
            vms_total=len(vms),
            details={
                "product": str(about.fullName or ""),
                "api": str(about.apiVersion or ""),
                "hosts": {each.text("name"): _state(each) for each in hosts},
                "lacks": list(missing),
                "clusters": sorted(set(names.values())),
            },
        )


def _busy_cpus(host: Found) -> int:
    """Use is told in MHz of all cores together."""
    speed = host.number("summary.hardware.cpuMhz") or 0
    return round((host.number("summary.quickStats.overallCpuUsage") or 0) / speed) if speed else 0


def _state(host: Found) -> str:
    if host.is_true("runtime.inMaintenanceMode"):
        return "in maintenance"
    return host.text("runtime.connectionState")
