"""Consoles of simulated VMs: a screen that speaks RFB, a serial line, a keyboard, and pictures of the screen."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing

from providers.base import (
    MOST_OUTPUT,
    Conflict,
    ConsoleKind,
    Consoles,
    ConsoleTarget,
    Picture,
    StreamConsole,
    Stroke,
    ViewerConsole,
    ViewerRecord,
)
from providers.base import checked_strokes as checked
from providers.fake import viewers
from providers.fake.cloud import Part
from providers.fake.console.guest import Line
from providers.fake.console.keyboard import typed_by
from providers.fake.console.picture import drawn
from providers.fake.console.rfb import Screen
from providers.fake.console.terminal import Terminal
from providers.fake.console.wire import serve_serial, served
from providers.fake.records import AWAKE
from providers.fake.state import MOST_TYPED, Vm
from providers.fake.store import Store, Transaction
from providers.fake.vms import vm_of


class FakeConsoles(Part, Consoles):
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        """The endpoint changes with every boot from off; a console never outlives the run it was opened in."""
        with self.cloud.reading("consoles.open", vm=external_id) as tx:
            vm = _awake(tx, external_id)
        if kind is ConsoleKind.SPICE:
            return self._viewer(external_id)
        return StreamConsole(
            connect=lambda: self._connect(vm, kind),
            endpoint=f"fake:{vm.id}:{vm.runs}:{kind.value}",
            password=vm.vnc_password if kind is ConsoleKind.VNC else "",
        )

    def viewer(self, external_id: str, ticket: str) -> ViewerRecord:
        with self.cloud.reading("consoles.viewer", vm=external_id) as tx:
            return viewers.record(_awake(tx, external_id), ticket)

    def close_viewer(self, external_id: str, ticket: str = "") -> None:
        with self.cloud.writing("consoles.close_viewer", vm=external_id) as tx:
            viewers.close(tx, external_id, ticket)

    def send_keys(self, external_id: str, strokes: Sequence[Stroke], *, hold_ms: int = 20) -> None:
        """Every screen of the VM that is open hears them. Time passes as if the keys were held."""
        wanted = checked(strokes, hold_ms)
        with self.cloud.writing("consoles.send_keys", vm=external_id) as tx:
            vm = _awake(tx, external_id)
            typed = [text for text in map(typed_by, wanted) if text]
            if vm.typed_in_boot != vm.boots:
                vm.typed, vm.typed_in_boot = [], vm.boots
            vm.typed = [*vm.typed, *typed][-MOST_TYPED:]
            vm.typed_count += len(typed)
            tx.put(vm)
        self.cloud.wait(sum(len(stroke) for stroke in wanted) * hold_ms / 1000)

    def screenshot(self, external_id: str) -> Picture:
        """What somebody would see who had looked since the last boot."""
        with self.cloud.reading("consoles.screenshot", vm=external_id) as tx:
            vm = _awake(tx, external_id)
        line = self._line(self.cloud.store, vm, hears_keyboard=True)
        terminal = Terminal()
        # The first look shows the boot and the prompt, the second what was typed.
        for _ in range(2):
            terminal.write(line.tick() or "")
        return Picture(media_type="image/x-portable-pixmap", data=drawn(terminal))

    def output(self, external_id: str) -> bytes:
        """What the guest printed since it began, up to its prompt."""
        with self.cloud.reading("consoles.output", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
        text = self._line(self.cloud.store, vm, hears_keyboard=False).tick()
        if not text:
            raise Conflict("The serial line has said nothing yet.")
        return text.replace("\n", "\r\n").encode()[-MOST_OUTPUT:]

    def _viewer(self, external_id: str) -> ViewerConsole:
        """Nobody listens there: what a viewer would show is not simulated, only that one came (`viewers.come`)."""
        with self.cloud.writing("consoles.open", vm=external_id) as tx:
            vm = _awake(tx, external_id)
            given = viewers.expect(tx, vm)
        return ViewerConsole(
            protocol="spice",
            host="spice.fake.test",
            port=5900,
            password=given.password,
            valid_s=viewers.VALID_S,
            title=vm.name,
            ticket=given.ticket,
        )

    def _connect(self, vm: Vm, kind: ConsoleKind) -> socket.socket:
        """Checks again: between asking and connecting the VM may have stopped."""
        with self.cloud.reading("consoles.connect", vm=vm.id) as tx:
            _awake(tx, vm.id)
        config = self.cloud.config

        def serve(sock: socket.socket) -> None:
            if not config.path:
                self._serve(self.cloud.store, vm, kind, sock)
                return
            # The driver that opened the console may be closed before the console is.
            with closing(Store(config.path)) as store:
                self._serve(store, vm, kind, sock)

        return served(serve, f"fake-{kind.value}-{vm.id}")

    def _serve(self, store: Store, vm: Vm, kind: ConsoleKind, sock: socket.socket) -> None:
        line = self._line(store, vm, hears_keyboard=kind is ConsoleKind.VNC)
        if kind is ConsoleKind.SERIAL:
            serve_serial(line, sock)
        else:
            Screen(line, sock, name=vm.name, password=vm.vnc_password).serve()

    def _line(self, store: Store, vm: Vm, *, hears_keyboard: bool) -> Line:
        config = self.cloud.config
        return Line(store, vm.id, vm.runs, start_s=config.start_s, stop_s=config.stop_s, hears_keyboard=hears_keyboard)


def _awake(tx: Transaction, external_id: str) -> Vm:
    vm = vm_of(tx, external_id)
    if vm.power not in AWAKE:
        raise Conflict("The VM does not run.")
    return vm
