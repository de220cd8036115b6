"""The screen: a ticket of the vCenter's leads to a websocket that the portal's broker can carry."""

from __future__ import annotations

from contextlib import closing

import pytest

from providers.base import ConsoleKind, PowerState, VmSpec, WebSocketConsole
from providers.testing import Unavailable
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.testing import Backend
from tests.vms.console.vendor import Vendor
from vms.console.upstream import connected

TICKET = "cst-t1"


def test_a_ticket_opens_the_screen_through_the_broker() -> None:
    host = Vendor(path=f"/ticket/{TICKET}", chosen="binary")
    environment = {"VCSIM_SCREEN_PORT": str(host.port), "VCSIM_SCREEN_TICKET": TICKET}
    try:
        backend = Backend(environment=environment)
    except Unavailable as exc:
        host.close()
        pytest.skip(str(exc))
    config = backend.config.model_copy(update={"ca": backend.config.ca + "\n" + host.ca})
    try:
        with VsphereDriver(config) as driver:
            vm = driver.machines.create(VmSpec(name="kvweb-test-screen", disks=()))
            assert vm.power is PowerState.RUNNING
            target = driver.consoles.open(vm.external_id, ConsoleKind.VNC)
            assert isinstance(target, WebSocketConsole)
            assert TICKET not in repr(target)
            again = driver.consoles.open(vm.external_id, ConsoleKind.VNC)
            assert isinstance(again, WebSocketConsole)
            assert target.endpoint == again.endpoint != ""
            with closing(connected(target, 10.0)) as screen:
                greeting = b"".join(bytes(piece) for piece in screen.receive())
                assert greeting.startswith(b"RFB 003.008")
    finally:
        backend.close()
        host.close()
