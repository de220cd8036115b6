"""Which of libvirt's events the portal wants, and what each means in its own words.

Callbacks run in the event loop's thread, which serves every connection of the process: they only hand on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from providers.base import EventTopic, ProviderEvent
from providers.kvm.native import LibvirtError, libvirt


class Listener(Protocol):
    """Whoever wants to know; called in the event loop's thread, so it must be quick and must not call libvirt."""

    def changed(self, event: ProviderEvent) -> None: ...

    def closed(self, reason: str) -> None: ...


Tell = Callable[[ProviderEvent], None]

_LIFECYCLE = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutdown",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "pmsuspended",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}

#: The guest began anew, by itself or by a reset; QEMU and the domain ran on.
_REBOOT = "reboot"
#: Events of a VM beside its lifecycle, with the word for the log. Balloon and job events are left out: they come by
#: the second and change nothing that a page shows.
_OF_A_VM = {
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: _REBOOT,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: "device added",
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: "device removed",
    libvirt.VIR_DOMAIN_EVENT_ID_DISK_CHANGE: "disk changed",
    libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE: "tray changed",
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2: "block job",
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: "metadata changed",
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: "agent",
    libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE: "tunable changed",
}


def register(raw: Any, tell: Tell) -> list[Callable[[], None]]:
    """Ask libvirt for the events; returns how to take each back. Raises libvirt's error.

    Pools have a "refreshed" event too: it is not asked for, because reading the volumes refreshes the pool, and the
    news of that would make the reader read again.
    """
    undo: list[Callable[[], None]] = []
    _domain(raw, undo, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, partial(_lifecycle, tell))
    for number, word in _OF_A_VM.items():
        _domain(raw, undo, number, partial(_vm, tell, word))
    try:
        undo.append(
            partial(
                raw.networkEventDeregisterAny,
                raw.networkEventRegisterAny(
                    None, libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, partial(_network, tell), None
                ),
            )
        )
        undo.append(
            partial(
                raw.storagePoolEventDeregisterAny,
                raw.storagePoolEventRegisterAny(
                    None, libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, partial(_pool, tell), None
                ),
            )
        )
    except LibvirtError:
        # A host without a network or storage driver still tells of its VMs.
        pass
    return undo


def _domain(raw: Any, undo: list[Callable[[], None]], number: int, callback: Callable[..., None]) -> None:
    undo.append(partial(raw.domainEventDeregisterAny, raw.domainEventRegisterAny(None, number, callback, None)))


def _lifecycle(tell: Tell, _raw: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
    renamed = event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED and detail == libvirt.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED
    # Undefined while it runs: it lives on until it is switched off.
    gone = event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED and not renamed and domain.ID() == -1
    hint = _LIFECYCLE.get(event, f"lifecycle {event}")
    tell(ProviderEvent(topic=EventTopic.VM, external_id=domain.UUIDString(), gone=gone, hint=hint))


def _vm(tell: Tell, word: str, _raw: Any, domain: Any, *_details: object) -> None:
    restarted = word == _REBOOT
    tell(ProviderEvent(topic=EventTopic.VM, external_id=domain.UUIDString(), restarted=restarted, hint=word))


def _network(tell: Tell, _raw: Any, network: Any, event: int, _detail: int, _opaque: object) -> None:
    gone = event == libvirt.VIR_NETWORK_EVENT_UNDEFINED
    tell(ProviderEvent(topic=EventTopic.NETWORK, external_id=network.name(), gone=gone, hint=f"network {event}"))


def _pool(tell: Tell, _raw: Any, pool: Any, event: int, _detail: int, _opaque: object) -> None:
    gone = event == libvirt.VIR_STORAGE_POOL_EVENT_UNDEFINED
    tell(ProviderEvent(topic=EventTopic.POOL, external_id=pool.name(), gone=gone, hint=f"pool {event}"))
