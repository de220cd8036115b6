"""Consoles of simulated VMs: a screen that speaks RFB and a serial line, both served by this process."""

from __future__ import annotations

import socket
from contextlib import closing

from providers.base import Conflict, ConsoleKind, Consoles, ConsoleTarget, StreamConsole
from providers.fake.cloud import Part
from providers.fake.console.guest import Line
from providers.fake.console.rfb import Screen
from providers.fake.console.wire import serve_serial, served
from providers.fake.records import AWAKE
from providers.fake.state import Vm
from providers.fake.store import Store
from providers.fake.vms import vm_of


class FakeConsoles(Part, Consoles):
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        """The endpoint changes with every boot from off; a console never outlives the run it was opened in."""
        with self.cloud.reading("consoles.open", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            if vm.power not in AWAKE:
                raise Conflict("The VM does not run.")
        return StreamConsole(
            connect=lambda: self._connect(vm, kind),
            endpoint=f"fake:{vm.id}:{vm.runs}:{kind.value}",
            password=vm.vnc_password if kind is ConsoleKind.VNC else "",
        )

    def _connect(self, vm: Vm, kind: ConsoleKind) -> socket.socket:
        """Checks again: between asking and connecting the VM may have stopped."""
        with self.cloud.reading("consoles.connect", vm=vm.id) as tx:
            if vm_of(tx, vm.id).power not in AWAKE:
                raise Conflict("The VM does not run.")
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
        line = Line(store, vm.id, vm.runs, start_s=self.cloud.config.start_s, stop_s=self.cloud.config.stop_s)
        if kind is ConsoleKind.SERIAL:
            serve_serial(line, sock)
        else:
            Screen(line, sock, name=vm.name, password=vm.vnc_password).serve()
