"""The hypervisor as a whole."""

from __future__ import annotations

from providers.base import Host, HostRecord
from providers.kvm.errors import vendor_calls
from providers.kvm.hostdetails import details
from providers.kvm.hostfacts import host_facts
from providers.kvm.inventory import Inventory
from providers.kvm.part import Part


class KvmHost(Part, Host):
    def info(self) -> HostRecord:
        """Capacity and versions. "Used" is what running VMs may take, not what they take at this moment."""
        with vendor_calls():
            facts = host_facts(self.connection, self.config)
            everything = Inventory.of(self.connection).everything()
            name = self.raw.getHostname()
            libvirt_version = _version(self.raw.getLibVersion())
            emulator_version = _version(self.raw.getVersion())
            cpus = int(self.raw.getInfo()[2])
            more = details(self.connection)
        running = [known.machine for vm, known in everything if vm.is_active]
        return HostRecord(
            name=name,
            version=f"libvirt {libvirt_version}, QEMU {emulator_version}",
            cpus_total=cpus,
            cpus_used=sum(machine.vcpus for machine in running),
            memory_total_mib=facts.memory_mib,
            memory_used_mib=sum(machine.memory_mib for machine in running),
            vms_running=len(running),
            vms_total=len(everything),
            details={
                **more,
                "virt_type": facts.virt_type,
                "arch": facts.arch,
                "libvirt": libvirt_version,
                "qemu": emulator_version,
                "emulator": facts.emulator,
                "uefi": facts.has_efi,
                "max_vcpus": facts.max_vcpus,
                "machines": list(facts.machines),
                "events": self.connection.has_events,
            },
        )


def _version(number: int) -> str:
    """libvirt packs versions as 1,000,000 × major + 1,000 × minor + release."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
