"""SPICE: a ticket for a minute to a screen that listens where an administrator said, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from unittest import mock

import pytest
from lxml import etree

from providers.base import (
    Conflict,
    ConsoleKind,
    InvalidRequest,
    StreamConsole,
    ViewerConsole,
    ViewerRecord,
    ViewerState,
    VmRecord,
)
from providers.kvm import consoles as facet
from providers.kvm.config import KvmConfig
from providers.kvm.consoles import KvmConsoles
from providers.kvm.driver import KvmDriver
from providers.kvm.testing import Backend
from providers.kvm.viewers import Viewers
from providers.kvm.xml.domain_reader import SeenGraphics, read_machine
from providers.testing.spice import OK, PERMISSION_DENIED, SpiceViewer, knock
from tests.providers.kvm.conftest import MakeVm

live = [pytest.mark.live]


def wait_for(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def ticket_for(backend: Backend, vm: VmRecord) -> ViewerConsole:
    ticket = backend.driver.consoles.open(vm.external_id, ConsoleKind.SPICE)
    assert isinstance(ticket, ViewerConsole)
    return ticket


class TestAtLibvirt:
    pytestmark = live

    def test_only_the_last_ticket_opens_it_and_only_for_its_time(
        self, backend: Backend, make_vm: MakeVm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vm = make_vm(start=True, options={"graphics": "both"})
        assert vm.consoles == frozenset({ConsoleKind.VNC, ConsoleKind.SPICE, ConsoleKind.SERIAL})
        consoles = backend.driver.consoles

        def state(ticket: ViewerConsole) -> ViewerState:
            return consoles.viewer(vm.external_id, ticket.ticket).state

        graphics = read_machine(backend.raw.lookupByUUIDString(vm.external_id).XMLDesc(1)).graphics
        ((port, born_with),) = [(each.port, each.password) for each in graphics if each.type == "spice"]
        # What it was started with never opened it.
        assert knock("127.0.0.1", port, born_with) == PERMISSION_DENIED
        first = ticket_for(backend, vm)
        assert (first.host, first.port, first.title) == ("127.0.0.1", port, vm.name)
        assert knock(first.host, port, first.password) == OK
        # Until its news are through: they name no ticket, so the next one would get what comes late.
        assert wait_for(lambda: state(first) is ViewerState.GONE)
        second = ticket_for(backend, vm)
        assert [knock("127.0.0.1", port, each) for each in (first.password, "", second.password)] == [
            PERMISSION_DENIED,
            PERMISSION_DENIED,
            OK,
        ]
        # Knocking was coming and leaving; the older ticket is over, whoever had it.
        assert wait_for(lambda: state(second) is ViewerState.GONE)
        assert state(first) is ViewerState.GONE
        fourth = ticket_for(backend, vm)
        assert state(fourth) is ViewerState.WAITING
        viewer = SpiceViewer("127.0.0.1", port, fourth.password)
        try:
            assert wait_for(lambda: state(fourth) is ViewerState.OPEN)
            # Neither the end of another ticket nor a screen in the browser changes anything for it.
            consoles.close_viewer(vm.external_id, second.ticket)
            target = consoles.open(vm.external_id, ConsoleKind.VNC)
            assert isinstance(target, StreamConsole)
            target.connect().close()
            assert viewer.is_connected()
            assert consoles.viewer(vm.external_id, fourth.ticket) == ViewerRecord(ViewerState.OPEN, "127.0.0.1")
            # Somebody else's file takes the screen over.
            ticket_for(backend, vm)
            assert not viewer.is_connected()
        finally:
            viewer.close()
        # Another process handed it out, or the line to the hypervisor was lost since.
        other = Viewers(mock.Mock())
        assert other.record(vm.external_id, fourth.ticket, 1).state is ViewerState.UNSEEN
        monkeypatch.setattr(facet, "VIEWER_S", 2)
        third = ticket_for(backend, vm)
        time.sleep(3)
        assert knock("127.0.0.1", port, third.password) == PERMISSION_DENIED

    def test_the_protocol_can_be_changed_and_the_agents_channel_goes_with_it(
        self, backend: Backend, make_vm: MakeVm
    ) -> None:
        vm = make_vm(options={"clipboard": True})

        def parts() -> list[str]:
            root = etree.fromstring(backend.raw.lookupByUUIDString(vm.external_id).XMLDesc(0))
            found = [*root.iterfind("devices/graphics"), *root.iterfind("devices/channel")]
            return sorted(each.get("type") or "" for each in found if each.get("type") != "unix")

        assert parts() == ["qemu-vdagent", "vnc"]
        for graphics, expected in (
            ("both", ["spice", "spicevmc", "vnc"]),
            ("spice", ["spice", "spicevmc"]),
            ("vnc", ["qemu-vdagent", "vnc"]),
        ):
            backend.driver.reshape.set_options(vm.external_id, {"graphics": graphics})
            found = parts()
            assert found == expected, graphics
            options = backend.driver.reshape.options(vm.external_id).pending
            assert (options["graphics"], options["clipboard"]) == (graphics, True)
        backend.driver.reshape.set_options(vm.external_id, {"clipboard": False, "graphics": ""})
        assert parts() == ["vnc"]
        backend.driver.reshape.set_options(vm.external_id, {"graphics": "spice", "clipboard": True})
        backend.driver.reshape.set_options(vm.external_id, {"video": "none"})
        assert parts() == []
        with pytest.raises(InvalidRequest):
            backend.driver.reshape.set_options(vm.external_id, {"graphics": "both"})
        backend.driver.power.start(vm.external_id)

    def test_without_an_address_nothing_new_listens(self, backend: Backend) -> None:
        driver = KvmDriver(backend.config.model_copy(update={"spice_address": ""}))
        try:
            machines = driver.probe().machines
            assert set(machines.option_choices["graphics"]) == {"", "vnc"}
            assert "SPICE address" in machines.option_refusals["graphics"]
        finally:
            driver.close()


NOWHERE = "its host only"
NO_ADDRESS = "no SPICE address"


@pytest.mark.parametrize(
    ("uri", "address", "listen", "port", "expected"),
    [
        ("qemu:///system", "192.0.2.7", "192.0.2.7", 5900, "192.0.2.7"),
        ("qemu:///system", "host.example", "0.0.0.0", 5900, "host.example"),
        ("qemu+ssh://root@host.example/system", "", "0.0.0.0", 5900, "host.example"),
        ("qemu:///system", "", "0.0.0.0", 5900, NO_ADDRESS),
        ("qemu:///system", "", "127.0.0.1", 5900, NOWHERE),
        ("qemu:///system", "192.0.2.7", "127.0.0.1", 5900, NOWHERE),
        # Who writes loopback there sits at the host.
        ("qemu:///system", "127.0.0.1", "127.0.0.1", 5900, "127.0.0.1"),
        ("qemu:///system", "192.0.2.7", "", -1, NOWHERE),
    ],
)
def test_where_a_viewer_finds_it(uri: str, address: str, listen: str, port: int, expected: str) -> None:
    consoles = KvmConsoles(mock.Mock(), KvmConfig(uri=uri, spice_address=address))
    graphics = SeenGraphics(type="spice", port=port, listen=listen)
    if expected in {NOWHERE, NO_ADDRESS}:
        with pytest.raises(Conflict, match=expected):
            consoles._viewers_host(graphics)
    else:
        assert consoles._viewers_host(graphics) == expected
