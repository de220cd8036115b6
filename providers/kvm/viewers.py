"""Who came to the SPICE screens of a connection's VMs, as libvirt tells it: a viewer is several connections, one a
channel, each of which brings the ticket.

Known from the moment when a ticket is handed out over this very connection; of another's tickets nothing is known.
libvirt has no way to ask. QEMU has (query-spice), but its monitor is not for others: libvirt marks a VM for ever at
which somebody used it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.base import Conflict, ViewerRecord, ViewerState
from providers.kvm.connection import Connection
from providers.kvm.native import libvirt

#: A channel was let in: https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainEventGraphicsPhase
_LET_IN, _LEFT = libvirt.VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE, libvirt.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT


@dataclass(slots=True)
class _Visit:
    """What one ticket led to. `number` is libvirt's of the VM's run, `ports` those of its SPICE screen."""

    ticket: str
    number: int
    ports: frozenset[str]
    #: Address and port of each channel that is open.
    channels: set[tuple[str, str]] = field(default_factory=set)
    address: str = ""


class Viewers:
    """One connection's. Events come in libvirt's thread, questions in any."""

    def __init__(self, connection: Connection) -> None:
        #: Held while a VM's ticket and password are exchanged, so that they belong together.
        self.changing = threading.Lock()
        self._lock = threading.Lock()
        #: The newest ticket of each VM, by its uuid.
        self._visits: dict[str, _Visit] = {}
        self._hears = connection.hear(libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS, self._heard)

    def expect(self, external_id: str, number: int, ports: Collection[int]) -> str:
        """A new ticket, which takes the place of the VM's last one. Call before its password is set."""
        visit = _Visit(secrets.token_hex(8), number, frozenset(str(port) for port in ports if port > 0))
        with self._lock:
            self._visits[external_id] = visit
        return visit.ticket

    def is_last(self, external_id: str, ticket: str) -> bool:
        """Whether no later ticket was handed out that is known here."""
        with self._lock:
            visit = self._visits.get(external_id)
        return visit is None or visit.ticket == ticket

    def forget(self, external_id: str) -> None:
        with self._lock:
            self._visits.pop(external_id, None)

    def record(self, external_id: str, ticket: str, number: int) -> ViewerRecord:
        """Raises Conflict when the VM's run is not the one that the ticket was for."""
        with self._lock:
            visit = self._visits.get(external_id)
            if visit is None or not self._hears:
                return ViewerRecord(ViewerState.UNSEEN)
            if visit.ticket != ticket:
                return ViewerRecord(ViewerState.GONE)
            if visit.number != number:
                raise Conflict("The VM was stopped or restarted meanwhile.")
            if visit.channels:
                return ViewerRecord(ViewerState.OPEN, visit.address)
            return ViewerRecord(ViewerState.GONE if visit.address else ViewerState.WAITING, visit.address)

    def _heard(
        self,
        _raw: Any,
        domain: Any,
        phase: int,
        local: Mapping[str, Any],
        remote: Mapping[str, Any],
        *_details: object,
    ) -> None:
        """A connection to a screen, VNC's too: which one, its port tells."""
        with self._lock:
            visit = self._visits.get(domain.UUIDString())
            if visit is None or local.get("service") not in visit.ports:
                return
            channel = (str(remote.get("node")), str(remote.get("service")))
            if phase == _LET_IN:
                visit.channels.add(channel)
                visit.address = channel[0]
            elif phase == _LEFT:
                visit.channels.discard(channel)
