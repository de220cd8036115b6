"""Making a VM: volumes first, then the document, then the start; whatever fails, all that was made is undone."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from providers.base import (
    AlreadyExists,
    Conflict,
    NicSpec,
    Progress,
    ProviderError,
    VmSpec,
)
from providers.base import CloudInit as CloudInitWish
from providers.guest.cloudinit import host_name, render
from providers.guest.seed import seed_iso
from providers.kvm import plugs, storage
from providers.kvm.cpuflags import check_flags
from providers.kvm.design import Content, check, design, domain_uuid, options_of
from providers.kvm.errors import has_code
from providers.kvm.hostfacts import host_facts
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.sources import DiskSources
from providers.kvm.xml.domain_writer import domain_document
from providers.kvm.xml.elements import Source

_log = logging.getLogger(__name__)

#: Volumes of one VM end in its mark, a number and a suffix; a layer names its disk too. 48 bits: no stranger's volume
#: bears it by chance.
_OWN = re.compile(r".*-(?P<mark>[0-9a-f]{12})-(?:(?:[a-z][a-z0-9]*-)?\d+\.(?:qcow2|raw)|seed\.iso)")


def mark_of(uuid: UUID) -> str:
    """What the names of a VM's volumes carry of its uuid."""
    return uuid.hex[:12]


def owner_mark(volume_name: str) -> str:
    """The mark in a volume's name, empty for names that the portal did not give."""
    found = _OWN.fullmatch(volume_name)
    return found["mark"] if found else ""


class Creation(Part):
    """One create, from its checks to the running VM. Used once."""

    def run(self, spec: VmSpec, progress: Progress) -> Any:
        """The new domain, or the one that an earlier run of the same create made. Raises as `Machines.create` says."""
        facts = host_facts(self.connection, self.config)
        check(spec, facts)
        check_flags(self.raw, facts, options_of(spec).cpu_flags)
        uuid = domain_uuid(spec.portal_uuid) if spec.portal_uuid else uuid4()
        existing = self.domain_or_none(str(uuid)) if spec.portal_uuid else None
        if existing is not None:
            if spec.start and not existing.isActive():
                existing.create()
            return existing
        if self.domain_named(spec.name) is not None:
            raise AlreadyExists(f"A VM called “{spec.name}” exists already.", field="name")
        nics = tuple(self._nic(nic, uuid, index) for index, nic in enumerate(spec.nics))
        spec = spec.model_copy(update={"nics": nics})
        with ExitStack() as undo:
            content = self._content(spec, uuid, undo, progress)
            progress.checkpoint()
            progress.report(80, "Defining the machine")
            self._keep_addresses(spec, undo)
            machine = design(spec, facts, content, uuid=uuid, now=datetime.now(UTC))
            domain = self._define(domain_document(machine), spec.name)
            undo.callback(attempt, lambda: domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM))
            if spec.autostart:
                domain.setAutostart(1)
            if spec.start:
                progress.checkpoint()
                progress.report(90, "Starting")
                domain.create()
            undo.pop_all()
        return domain

    # -- before anything is made ------------------------------------------------------------------------------------

    def _nic(self, nic: NicSpec, uuid: UUID, index: int) -> NicSpec:
        """The card with its network's true name and a MAC; raises NotFound, Conflict for a network switched off."""
        network, at = nic.network or self.config.network, f"nics.{index}."
        plug = plugs.plug_of(self.raw, network, field=f"{at}network")
        plugs.check_plug(self.raw, plug, filter_=nic.filter, isolated=nic.isolated, vlan=nic.vlan, at=at)
        return nic.model_copy(update={"network": network, "mac": nic.mac or mac_of(uuid, index)})

    def _keep_addresses(self, spec: VmSpec, undo: ExitStack) -> None:
        """Fixed addresses are kept in libvirt's own networks too, so that DHCP gives them to nobody else."""
        host = host_name(spec.cloud_init or CloudInitWish(), spec.name)
        for index, nic in enumerate(spec.nics):
            plug = plugs.plug_of(self.raw, nic.network)
            given = plugs.keep_address(plug, nic, host, at=f"nics.{index}.")
            if given is not None:
                undo.callback(attempt, given)

    def _define(self, document: str, name: str) -> Any:
        try:
            return self.raw.defineXML(document)
        except LibvirtError as exc:
            # The name was free a moment ago; libvirt has no code of its own for one that was taken meanwhile.
            if has_code(exc, libvirt.VIR_ERR_OPERATION_FAILED) and "already exists" in str(exc):
                raise AlreadyExists(f"A VM called “{name}” exists already.", str(exc), field="name") from exc
            raise

    # -- storage ----------------------------------------------------------------------------------------------------

    def _content(self, spec: VmSpec, uuid: UUID, undo: ExitStack, progress: Progress) -> Content:
        """Make the volumes. Each is on the undo list before the next is begun."""
        sources = DiskSources(self.connection, self.config)
        iso = sources.iso(spec.iso) if spec.iso else None
        disks: list[Source] = []
        owned: list[str] = []
        for index, wish in enumerate(spec.disks):
            progress.checkpoint()
            progress.report(10, "Copying the image" if wish.image else "Making the disk")
            field = f"disks.{index}."
            if wish.volume:
                disks.append(sources.existing(wish, field=field, uuid=str(uuid)))
                continue
            stem = volume_name(spec.name, uuid, str(index))
            volume, source = sources.made(
                wish,
                partial(_with_suffix, stem),
                field=field,
                progress=progress,
                maker=self._anew,
            )
            undo.callback(attempt, partial(storage.remove, volume))
            owned.append(volume.key())
            disks.append(source)
        seed = None
        if wants_seed(spec):
            progress.checkpoint()
            progress.report(70, "Writing the seed")
            pool = self.pool(spec.disks[0].pool if spec.disks else "")
            volume = self._seed(pool, spec, uuid)
            undo.callback(attempt, partial(storage.remove, volume))
            owned.append(volume.key())
            seed = storage.source_of(pool, volume, "raw")
        return Content(disks=tuple(disks), iso=iso, seed=seed, owned=tuple(owned))

    def _seed(self, pool: Any, spec: VmSpec, uuid: UUID) -> Any:
        wish = spec.cloud_init or CloudInitWish()
        texts = render(wish, name=spec.name, instance_id=spec.portal_uuid or str(uuid), nics=spec.nics)
        name = volume_name(spec.name, uuid, "seed") + ".iso"
        return self._anew(pool, name, lambda: storage.upload(self.raw, pool, name=name, content=seed_iso(texts)))

    def _anew(self, pool: Any, name: str, make: Callable[[], Any]) -> Any:
        """Make a volume. One that bears this very name was left by a run that died: no VM has this uuid yet."""
        try:
            return make()
        except (AlreadyExists, Conflict):
            storage.remove(pool.storageVolLookupByName(name))
            return make()


def is_seed(volume_name: str) -> bool:
    """Whether a volume is the first-boot data of some VM of the portal's."""
    return bool(owner_mark(volume_name)) and volume_name.endswith("-seed.iso")


def wants_seed(spec: VmSpec) -> bool:
    """Whether the guest is to be told anything: cloud-init was asked for, or a fixed address."""
    return spec.cloud_init is not None or any(nic.address or nic.address6 for nic in spec.nics)


def mac_of(uuid: UUID, index: int) -> str:
    """A MAC in QEMU's own range, always the same for the same card of the same VM."""
    digest = hashlib.sha256(uuid.bytes + index.to_bytes(2, "big")).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def volume_name(vm: str, uuid: UUID, part: str) -> str:
    """Letters and digits of the VM's name for the person who looks into the folder, then what makes it unique."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", vm).strip("._-")[:60] or "vm"
    return f"{kept}-{mark_of(uuid)}-{part}"


def _with_suffix(stem: str, _pool: Any, format_: str) -> str:
    return f"{stem}.{format_}"


def attempt(step: Callable[[], object]) -> None:
    """One step of undoing: a failure is logged and the others still happen."""
    try:
        step()
    except (LibvirtError, ProviderError):
        _log.exception("Undoing a failed create left something behind")
