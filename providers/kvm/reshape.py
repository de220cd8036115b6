"""Updates of a VM: size, options, name, description, start with the host, metadata."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from providers.base import AlreadyExists, Conflict, InvalidRequest, NotSupported, OptionsRecord, Reshape, VmRecord
from providers.kvm import storage
from providers.kvm.cpuflags import check_flags
from providers.kvm.creation import is_seed
from providers.kvm.design import check_name
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.hostfacts import HostFacts, host_facts
from providers.kvm.machines import KvmMachines
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.nvram import Nvram, is_default
from providers.kvm.offers import check_options, check_room, check_whole, cpu_mode, options_of, video, with_nodes
from providers.kvm.options import KvmOptions, cpus_in
from providers.kvm.ownership import affected, note_of, owned_by
from providers.kvm.part import Part
from providers.kvm.xml import note
from providers.kvm.xml.build import Element, text_at, write
from providers.kvm.xml.edit import close_document, drop, open_document
from providers.kvm.xml.memory import MODULE_MIB, built_in_mib, cells_mib, memory_of, module, slots_of, write_amount
from providers.kvm.xml.processor import vcpus_of, write_vcpus
from providers.kvm.xml.shape import read_shape, write_shape

#: A guest gives memory back within this time, or not at all; one that goes on doing it is waited for longer.
BALLOON_S = 3.0
BALLOON_MOST_S = 20.0
#: How libvirt says that a running VM cannot take a change.
_LATER = (
    libvirt.VIR_ERR_OPERATION_INVALID,
    libvirt.VIR_ERR_OPERATION_FAILED,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_TIMEOUT,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_INTERNAL_ERROR,
)
_DEFAULTS: dict[str, Any] = KvmOptions().model_dump(mode="json")


class KvmReshape(Part, Reshape):
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        """A running VM takes more up to its most; fewer only where its guest lets them go, else at its next start."""
        with vendor_calls():
            domain = self.defined(external_id)
            most = host_facts(self.connection, self.config).max_vcpus
            if vcpus < 1 or (most and vcpus > most):
                raise InvalidRequest(f"The host's machines have 1 to {most} vCPUs.", field="vcpus")
            root = self._next_document(domain)
            now, room = vcpus_of(root)
            # Room to grow stays; without it the most is just the number.
            room = max(room, vcpus) if room > now else vcpus
            check_whole(read_shape(root), most_vcpus=room, memory_mib=cells_mib(root))
            write_vcpus(root, vcpus, room)
            self._define(root)
            if domain.isActive():
                self._now(domain, lambda: domain.setVcpusFlags(vcpus, libvirt.VIR_DOMAIN_AFFECT_LIVE))
            return self._record(domain)

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        """A running VM takes more up to its most, and gives back what its guest lets go, by its balloon."""
        with vendor_calls():
            domain = self.defined(external_id)
            most = host_facts(self.connection, self.config).memory_mib
            if memory_mib < 16 or (most and memory_mib > most):
                raise InvalidRequest(f"The host has {most} MiB of memory in all.", field="memory_mib")
            root = self._next_document(domain)
            now, room = memory_of(root)
            room = max(room, memory_mib) if room > now or slots_of(root) else memory_mib
            write_amount(root, memory_mib, room)
            check_whole(read_shape(root), most_vcpus=vcpus_of(root)[1], memory_mib=cells_mib(root))
            plugged = _module_for(open_document(domain.XMLDesc(0)), memory_mib) if domain.isActive() else None
            self._define(root)
            if domain.isActive():
                self._give_memory(domain, memory_mib, plugged)
            return self._record(domain)

    def _give_memory(self, domain: Any, memory_mib: int, plugged: Element | None) -> None:
        """Plug in what is more than it has, and let its balloon do the rest."""
        if plugged is not None and not self._now(
            domain, lambda: domain.attachDeviceFlags(write(plugged), libvirt.VIR_DOMAIN_AFFECT_LIVE)
        ):
            return
        kib = memory_mib * 1024
        if self._now(domain, lambda: domain.setMemoryFlags(kib, libvirt.VIR_DOMAIN_AFFECT_LIVE)):
            self._wait_for_balloon(domain, memory_mib)

    def set_flavor(self, external_id: str, flavor: str) -> VmRecord:
        del external_id, flavor
        raise NotSupported("This provider has no flavors; choose vCPUs and memory.")

    def rename(self, external_id: str, name: str) -> VmRecord:
        """Only while it is stopped; its snapshots stay, and its volumes keep their names."""
        check_name(name)
        with vendor_calls():
            domain = self._stopped(external_id)
            if domain.name() == name:
                return self._record(domain)
            if self.domain_named(name) is not None:
                raise AlreadyExists(f"A VM called “{name}” exists already.", field="name")
            self._rename(domain, name)
            # The handle keeps the name it was looked up with.
            return self._record(self.domain(external_id))

    def _rename(self, domain: Any, name: str) -> None:
        """With the file of its UEFI variables, which libvirt forgets: a new VM of the old name would find it."""
        old = domain.name()
        variables = Nvram(self.connection, self.config)
        has_file = is_default(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)) and variables.copy(old, name)
        try:
            domain.rename(name, 0)
        except LibvirtError:
            if has_file:
                variables.remove(name)
            raise
        if has_file:
            variables.remove(old)

    def set_description(self, external_id: str, description: str) -> VmRecord:
        if any(ord(char) < 32 and char not in "\t\n\r" for char in description):
            raise InvalidRequest("Control characters are not allowed here.", field="description")
        with vendor_calls():
            domain = self.domain(external_id)
            self._set(domain, libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, description or None)
            return self._record(domain)

    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord:
        with vendor_calls():
            domain = self.defined(external_id)
            domain.setAutostart(1 if autostart else 0)
            return self._record(domain)

    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        if not key:
            raise InvalidRequest("Metadata needs a key.", field="key")
        with vendor_calls():
            domain = self.domain(external_id)
            before = note_of(domain)
            values = dict(before.values)
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
            after = replace(before, values=tuple(sorted(values.items())))
            self._set(domain, libvirt.VIR_DOMAIN_METADATA_ELEMENT, write(note.to_fragment(after)))
            return self._record(domain)

    def options(self, external_id: str) -> OptionsRecord:
        with vendor_calls():
            domain = self.defined(external_id)
            after = read_shape(self._next_document(domain))
            if not domain.isActive():
                return OptionsRecord(live=after, pending=after)
            return OptionsRecord(live=read_shape(open_document(domain.XMLDesc(0))), pending=after)

    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        """Changes what the VM starts from next; only what differs is touched, in the document as it is."""
        asked = options_of(options)
        with vendor_calls():
            domain = self.defined(external_id)
            facts = host_facts(self.connection, self.config)
            root = self._next_document(domain)
            wanted = with_nodes(_differing(asked, read_shape(root), facts), read_shape(root), facts)
            if wanted:
                check_options(wanted, facts)
                check_room(wanted, vcpus=vcpus_of(root)[0], memory_mib=memory_of(root)[0])
                check_flags(self.raw, facts, wanted.get("cpu_flags", ()))
                listen = "none" if facts.is_local else "127.0.0.1"
                write_shape(root, wanted, listen=listen, spice_listen=facts.spice_address)
                check_whole(read_shape(root), most_vcpus=vcpus_of(root)[1], memory_mib=cells_mib(root))
                if {"firmware", "secure_boot"} & set(wanted):
                    note.put(root, replace(note.from_document(root), fresh_firmware=True))
                self._define(root)
                for pin in wanted.get("pinning", ()) if domain.isActive() else ():
                    vcpu, _, cpuset = pin.partition("=")
                    self._pin_now(domain, int(vcpu), cpus_in(cpuset))
            return self._record(domain)

    def _pin_now(self, domain: Any, vcpu: int, cpus: Collection[int]) -> None:
        """What is pinned no more stays pinned until its next start: libvirt has no word for "as before"."""
        every = range(self.raw.getCPUMap()[0])
        chosen = tuple(cpu in cpus for cpu in every)
        if any(chosen):
            self._now(domain, lambda: domain.pinVcpuFlags(vcpu, chosen, libvirt.VIR_DOMAIN_AFFECT_LIVE))

    def remove_cloud_init(self, external_id: str) -> VmRecord:
        """The seed's drive and its volume go together."""
        with vendor_calls():
            domain = self.defined(external_id)
            owned = {key: volume for key in owned_by(domain) if (volume := self.volume_or_none(key)) is not None}
            seeds = {volume.path(): volume for volume in owned.values() if is_seed(volume.name())}
            if not seeds:
                return self._record(domain)
            self._stopped(external_id)
            root = self._next_document(domain)
            for disk in list(root.iterfind("devices/disk[@device='cdrom']")):
                if text_at(disk, "source/@file") in seeds or text_at(disk, "source/@volume") in {
                    volume.name() for volume in seeds.values()
                }:
                    drop(disk)
            kept = tuple(key for key, volume in owned.items() if volume.path() not in seeds)
            note.put(root, replace(note.from_document(root), volumes=kept))
            self._define(root)
            for volume in seeds.values():
                storage.remove(volume)
            return self._record(domain)

    def _next_document(self, domain: Any) -> Element:
        """What the VM starts from next, with its secrets: without them the screen's password would be lost."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        return open_document(domain.XMLDesc(flags))

    def _define(self, root: Element) -> None:
        self.raw.defineXML(close_document(root))

    def _now(self, domain: Any, change: Callable[[], object]) -> bool:
        """Try it on the running VM; what it cannot take is in its next document already, and told as pending."""
        try:
            change()
        except LibvirtError as exc:
            if has_code(exc, *_LATER):
                return False
            raise
        return bool(domain.isActive())

    def _wait_for_balloon(self, domain: Any, memory_mib: int) -> None:
        """Until the guest has given or taken it, or nothing moves for BALLOON_S; one without the driver never does."""
        last = time.monotonic() + BALLOON_MOST_S
        end, before = time.monotonic() + BALLOON_S, 0
        while (now := domain.info()[2] // 1024) != memory_mib and time.monotonic() < min(end, last):
            if now != before:
                end, before = time.monotonic() + BALLOON_S, now
            time.sleep(0.1)

    def _set(self, domain: Any, kind: int, text: str | None) -> None:
        """Change one piece of metadata, of the running VM too; the rest of its document is not touched."""
        is_element = kind == libvirt.VIR_DOMAIN_METADATA_ELEMENT
        domain.setMetadata(
            kind,
            text,
            note.PREFIX if is_element else None,
            note.NAMESPACE if is_element else None,
            affected(domain),
        )

    def _stopped(self, external_id: str) -> Any:
        domain = self.domain(external_id)
        if domain.isActive():
            raise Conflict("Stop the VM first.")
        return domain

    def _record(self, domain: Any) -> VmRecord:
        return KvmMachines(self.connection, self.config).record(domain)


def _module_for(live: Element, memory_mib: int) -> Element | None:
    """The module that a running VM needs to have so much; raises InvalidRequest for an amount that no module has."""
    more = memory_mib - built_in_mib(live)
    if more <= 0 or not slots_of(live):
        return None
    if more % MODULE_MIB:
        least, has = -(-more // MODULE_MIB) * MODULE_MIB, built_in_mib(live)
        raise InvalidRequest(
            f"While it runs it can have {has - MODULE_MIB + least} or {has + least} MiB: memory is plugged in in steps "
            f"of {MODULE_MIB} MiB.",
            field="memory_mib",
        )
    return module(more)


def _differing(asked: KvmOptions, there: Mapping[str, Any], facts: HostFacts) -> dict[str, Any]:
    """Of the named options those that the VM does not have yet; an empty one is the choice that a new VM would get."""
    wanted = asked.model_dump(mode="json", include=asked.model_fields_set)
    for name in ("machine", "disk_bus", "nic_model"):
        if wanted.pop(name, ""):
            raise InvalidRequest("This can be said at the creation only.", field=f"options.{name}")
    if "cpu_mode" in wanted and not wanted.get("cpu_model"):
        wanted["cpu_mode"] = cpu_mode(asked.cpu_mode, facts)
    elif "cpu_model" in wanted and not asked.cpu_model and "cpu_model" in there:
        wanted["cpu_mode"] = cpu_mode("", facts)
    if "video" in wanted:
        wanted["video"] = video(asked.video, facts)
    if wanted.get("graphics") == "":
        if "graphics" in there:
            wanted["graphics"] = "vnc"
        else:
            # It has no screen, or gets the usual one together with its video.
            del wanted["graphics"]
    for name in ("firmware", "clock"):
        if not wanted.get(name, "-"):
            del wanted[name]
    return {name: value for name, value in wanted.items() if value != there.get(name, _DEFAULTS[name])}
