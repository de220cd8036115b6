"""Simulated viewers of SPICE screens: tickets are handed out, somebody comes with one, leaves, or is sent away."""

from __future__ import annotations

import secrets
from contextlib import suppress

from providers.base import Conflict, NotFound, ViewerRecord, ViewerState
from providers.fake.records import AWAKE
from providers.fake.state import Viewer, Vm
from providers.fake.store import Store, Transaction
from providers.fake.vms import vm_of

VALID_S = 60


def expect(tx: Transaction, vm: Vm) -> Viewer:
    """A new ticket; whoever came by the last one is gone."""
    vm.viewer = Viewer(
        ticket=secrets.token_hex(8), password=secrets.token_urlsafe(24), run=vm.runs, until=tx.now + VALID_S
    )
    tx.put(vm)
    return vm.viewer


def record(vm: Vm, ticket: str) -> ViewerRecord:
    """Raises Conflict when the VM's run is not the one that the ticket was for."""
    viewer = vm.viewer
    if viewer is None or viewer.ticket != ticket:
        return ViewerRecord(ViewerState.GONE)
    if viewer.run != vm.runs:
        raise Conflict("The VM was stopped or restarted meanwhile.")
    if viewer.is_there:
        return ViewerRecord(ViewerState.OPEN, viewer.address)
    return ViewerRecord(ViewerState.GONE if viewer.address else ViewerState.WAITING, viewer.address)


def close(tx: Transaction, external_id: str, ticket: str) -> None:
    with suppress(NotFound):
        vm = vm_of(tx, external_id)
        if vm.viewer is not None and ticket in ("", vm.viewer.ticket):
            vm.viewer = None
            tx.put(vm)


# -- the other end: what a person with a viewer does -------------------------------------------------------------------


def come(store: Store, external_id: str, password: str, address: str = "192.0.2.33") -> bool:
    """Connect with this password; whether the screen lets it in."""
    with store.writing() as tx:
        vm = vm_of(tx, external_id)
        viewer = vm.viewer
        if viewer is None or vm.power not in AWAKE or viewer.run != vm.runs:
            return False
        if tx.now > viewer.until or not secrets.compare_digest(viewer.password, password):
            return False
        viewer.is_there, viewer.address = True, address
        tx.put(vm)
    return True


def leave(store: Store, external_id: str) -> None:
    with store.writing() as tx:
        vm = vm_of(tx, external_id)
        if vm.viewer is not None:
            vm.viewer.is_there = False
            tx.put(vm)


def is_there(store: Store, external_id: str) -> bool:
    with store.reading() as tx:
        vm = vm_of(tx, external_id)
    return vm.power in AWAKE and vm.viewer is not None and vm.viewer.run == vm.runs and vm.viewer.is_there
