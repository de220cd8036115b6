"""Updates of a VM: size, name, description, start with the host, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers.base import AlreadyExists, Conflict, InvalidRequest, NotSupported, OptionsRecord, Reshape, VmRecord
from providers.kvm.design import check_name
from providers.kvm.errors import vendor_calls
from providers.kvm.hostfacts import host_facts
from providers.kvm.machines import KvmMachines
from providers.kvm.native import libvirt
from providers.kvm.part import Part
from providers.kvm.xml import note
from providers.kvm.xml.build import write
from providers.kvm.xml.domain_reader import read_machine

_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
_BOTH = libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_AFFECT_LIVE


class KvmReshape(Part, Reshape):
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        with vendor_calls():
            domain = self._stopped(external_id)
            most = host_facts(self.connection, self.config).max_vcpus
            if vcpus < 1 or (most and vcpus > most):
                raise InvalidRequest(f"The host's machines have 1 to {most} vCPUs.", field="vcpus")
            # The number now can never be above the most there may be, so the order depends on the direction.
            most_flag = _CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM
            steps = [most_flag, _CONFIG]
            if vcpus < read_machine(domain.XMLDesc(0)).vcpus:
                steps.reverse()
            for flags in steps:
                domain.setVcpusFlags(vcpus, flags)
            return self._record(domain)

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        with vendor_calls():
            domain = self._stopped(external_id)
            most = host_facts(self.connection, self.config).memory_mib
            if memory_mib < 16 or (most and memory_mib > most):
                raise InvalidRequest(f"The host has {most} MiB of memory in all.", field="memory_mib")
            kib = memory_mib * 1024
            # Setting the most cuts the amount now down to it, so this order is right in both directions.
            domain.setMemoryFlags(kib, _CONFIG | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
            domain.setMemoryFlags(kib, _CONFIG)
            return self._record(domain)

    def set_flavor(self, external_id: str, flavor: str) -> VmRecord:
        del external_id, flavor
        raise NotSupported("This provider has no flavors; choose vCPUs and memory.")

    def rename(self, external_id: str, name: str) -> VmRecord:
        """Only while it is stopped and has no snapshots; its volumes keep their names."""
        check_name(name)
        with vendor_calls():
            domain = self._stopped(external_id)
            if domain.name() == name:
                return self._record(domain)
            if self.domain_named(name) is not None:
                raise AlreadyExists(f"A VM called “{name}” exists already.", field="name")
            if domain.snapshotNum(0):
                raise Conflict("It has snapshots, which know it by its name; delete them first.")
            domain.rename(name, 0)
            # The handle keeps the name it was looked up with.
            return self._record(self.domain(external_id))

    def set_description(self, external_id: str, description: str) -> VmRecord:
        if any(ord(char) < 32 and char not in "\t\n\r" for char in description):
            raise InvalidRequest("Control characters are not allowed here.", field="description")
        with vendor_calls():
            domain = self.domain(external_id)
            self._set(domain, libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, description or None)
            return self._record(domain)

    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord:
        with vendor_calls():
            domain = self.domain(external_id)
            domain.setAutostart(1 if autostart else 0)
            return self._record(domain)

    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        if not key:
            raise InvalidRequest("Metadata needs a key.", field="key")
        with vendor_calls():
            domain = self.domain(external_id)
            before = read_machine(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).note
            values = dict(before.values)
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
            after = replace(before, values=tuple(sorted(values.items())))
            self._set(domain, libvirt.VIR_DOMAIN_METADATA_ELEMENT, write(note.to_fragment(after)))
            return self._record(domain)

    def options(self, external_id: str) -> OptionsRecord:
        raise NotSupported("Options cannot be read yet.")

    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        raise NotSupported("Options cannot be changed yet.")

    def _set(self, domain: Any, kind: int, text: str | None) -> None:
        """Change one piece of metadata, of the running VM too; the rest of its document is not touched."""
        is_element = kind == libvirt.VIR_DOMAIN_METADATA_ELEMENT
        domain.setMetadata(
            kind,
            text,
            note.PREFIX if is_element else None,
            note.NAMESPACE if is_element else None,
            _BOTH if domain.isActive() else _CONFIG,
        )

    def _stopped(self, external_id: str) -> Any:
        domain = self.domain(external_id)
        if domain.isActive():
            raise Conflict("Stop the VM first.")
        return domain

    def _record(self, domain: Any) -> VmRecord:
        return KvmMachines(self.connection, self.config).record(domain)
