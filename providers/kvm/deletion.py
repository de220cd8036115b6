"""Removing a VM with its own disks, and what a create that died left behind."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from providers.base import Conflict, Progress
from providers.kvm import plugs, storage
from providers.kvm.creation import mac_of, mark_of, owner_mark
from providers.kvm.design import domain_uuid
from providers.kvm.errors import has_code
from providers.kvm.inventory import Inventory
from providers.kvm.layers import Layers, owned
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.users import users_now
from providers.kvm.xml.domain_reader import SeenMachine, read_machine

_log = logging.getLogger(__name__)

_UNDEFINE = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
_UNDEFINE_ALL = (
    _UNDEFINE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
)

#: A create that died may have kept an address for as many cards at most.
_MOST_CARDS = 32


class Deletion(Part):
    """Only volumes that the VM's own note lists are ever removed, and of those only what nothing else uses."""

    def run(self, external_id: str, *, keep_disks: bool, with_snapshots: bool, progress: Progress) -> None:
        domain = self.domain(external_id)
        if domain.snapshotNum(0) and not with_snapshots:
            raise Conflict("It has snapshots; delete them first, or delete it with its snapshots.")
        machine = read_machine(domain.XMLDesc(0))
        if not keep_disks:
            self._refuse_hidden(machine)
        progress.checkpoint()
        if domain.isActive():
            progress.report(10, "Stopping the machine")
            _destroy(domain)
        if not keep_disks:
            # Before its definition, which alone says whose they are: when this is broken off, a second try finds them.
            progress.report(40, "Removing its disks")
            self.remove_own(machine)
        progress.report(80, "Removing the machine")
        for network in {card.network for card in machine.cards}:
            plugs.forget_name(self.raw, network, machine.name, {card.mac for card in machine.cards})
            plugs.give_back(self.raw, network, {card.mac for card in machine.cards})
        _undefine(domain)
        Inventory.of(self.connection).forget(external_id)

    def _refuse_hidden(self, machine: SeenMachine) -> None:
        """Raise Conflict for disks that cannot be removed now: nobody would know of them afterwards."""
        for key in machine.note.volumes:
            if self.volume_or_none(key) is None and (off := self.pool_that_is_off(key)):
                raise Conflict(
                    f"Disks of it lie in the storage pool “{off}”, which is switched off; switch it on first.", key
                )

    def remove_own(self, machine: SeenMachine) -> None:
        """Remove what was made for the VM and nothing else uses; the VM itself is gone or going."""
        tree = Layers(self.connection, self.config).tree()
        self._remove(dict.fromkeys([*machine.note.volumes, *owned(machine, tree)]), but=machine.uuid)

    def discard(self, portal_uuid: str) -> bool:
        """Remove what bears this VM's mark and is used by nothing; True when something was removed."""
        if not portal_uuid:
            return False
        uuid = domain_uuid(portal_uuid)
        if self.domain_or_none(str(uuid)) is not None:
            # It lives: also what was unplugged from it bears its mark, and is somebody's.
            return False
        plugs.give_back_everywhere(self.raw, {mac_of(uuid, index) for index in range(_MOST_CARDS)})
        mark = mark_of(uuid)
        left = [
            volume.key()
            for pool in self.active_pools()
            for volume in storage.volumes_of(pool)
            if owner_mark(volume.name()) == mark
        ]
        return bool(self._remove(left)) if left else False

    def remove(self, keys: Iterable[str]) -> bool:
        """Remove these volumes, as far as nothing uses them; True when something was removed."""
        return bool(self._remove(keys))

    def _remove(self, keys: Iterable[str], but: str = "") -> list[str]:
        """Remove these volumes, except those that a VM has as a drive or that another volume builds on."""
        volumes = {key: volume for key in keys if (volume := self.volume_or_none(key)) is not None}
        if not volumes:
            return []
        paths = {key: volume.path() for key, volume in volumes.items()}
        users = users_now(self, *paths.values())
        overlays = storage.overlays_of(self.raw, paths.values())
        removed: list[str] = []
        gone: set[str] = set()
        # From the top down: what lies below something that stays must stay too.
        while True:
            free = [
                key
                for key, path in paths.items()
                if path not in gone and not set(overlays[path]) - gone and not [u for u in users[path] if u != but]
            ]
            if not free:
                break
            for key in free:
                gone.add(paths[key])
                if storage.remove(volumes[key]):
                    removed.append(key)
        for path in set(paths.values()) - gone:
            _log.info("Volume %s stays: used by %s", path, users[path] or overlays[path])
        return removed


def _destroy(domain: Any) -> None:
    try:
        domain.destroy()
    except LibvirtError as exc:
        # It stopped by itself meanwhile; a VM without a definition is gone with that.
        if not has_code(exc, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
            raise


def _undefine(domain: Any) -> None:
    try:
        domain.undefineFlags(_UNDEFINE_ALL)
    except LibvirtError as exc:
        # A VM without a definition was gone when it stopped.
        if not has_code(exc, libvirt.VIR_ERR_NO_DOMAIN):
            raise
