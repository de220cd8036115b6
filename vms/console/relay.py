"""Bytes between one browser and one machine, both ways, each side only as fast as the other one takes it.

While something waits for a side that is full, nothing more is read from the opposite one: a slow browser slows the
machine's output instead of filling our memory, and the same the other way.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from providers.base import ConsoleKind
from vms.console.closing import Closing, Code, Refused
from vms.console.framing import Broken, ConsoleSocket, Gone
from vms.console.loop import READ, WRITE, Loop
from vms.console.machine import PORTION, Machine
from vms.console.rfb import Gate
from vms.console.rfb_input import KEY, POINTER, QEMU, Input

#: Once a read is filled, what follows is sent on without being looked at, until less than this came at once.
STREAM_BYTES = 32 * 1024
#: Of a machine that has much to say so many portions are taken in a row, before others have their turn.
PORTIONS = 4
_PEOPLE = {KEY, POINTER, QEMU}


class _MachineGone(Gone):
    """It is the machine that is not there any more, and not the browser."""


class Relay:
    __slots__ = (
        "_gate",
        "_input",
        "_loop",
        "_machine",
        "_machine_interest",
        "_on_end",
        "_streams",
        "_vnc",
        "_ws",
        "_ws_interest",
        "drives",
        "from_browser",
        "from_machine",
        "is_running",
        "used_at",
    )

    def __init__(
        self,
        loop: Loop,
        ws: ConsoleSocket,
        machine: Machine,
        *,
        kind: ConsoleKind,
        password: str,
        on_end: Callable[[Closing], None],
    ) -> None:
        self._loop, self._ws, self._machine, self._on_end = loop, ws, machine, on_end
        self._vnc = kind is ConsoleKind.VNC
        # A browser's messages can only be told apart when we know where they begin: behind the gate.
        self._gate = Gate(password) if self._vnc else None
        self._input = Input(drives=False)
        self._streams = False
        self.drives = False
        self._ws_interest = self._machine_interest = 0
        self.is_running = False
        self.from_browser = self.from_machine = 0
        self.used_at = time.monotonic()

    def start(self) -> None:
        self.is_running = True
        if self._machine.has_more:
            self._machine_ready(READ)
        else:
            self._update()

    def drive(self, on: bool) -> None:
        """Whether what people do there reaches the machine; from now on, between two messages."""
        was, self.drives = self.drives, on
        if not self._vnc or was == on:
            self._input.drives = on
        elif on:
            self._input.drives = True
        elif ups := self._input.let_go():
            try:
                self._write(ups)
            except Refused as refused:
                self._on_end(refused.closing)
            else:
                self._update()

    def keep_alive(self) -> None:
        """Something between us and the machine may cut connections on which nothing moves."""
        try:
            self._machine.keep_alive()
        except Gone:
            self._on_end(Closing(Code.ENDED))
        else:
            self._update()

    def stop(self) -> None:
        """Stop watching both and close the machine's side; the browser's stays open for the close frame."""
        if self.is_running:
            self.is_running = False
            for sock, interest in ((self._ws.socket, self._ws_interest), (self._machine.sock, self._machine_interest)):
                if interest:
                    self._loop.forget(sock)
        self._machine.close()

    # -- readiness -----------------------------------------------------------------------------------------------------

    def _browser_ready(self, events: int) -> None:
        if not self.is_running:
            return
        try:
            if events & WRITE:
                self._ws.flush()
            if events & READ and not self._machine.is_full:
                self._take_all(self._ws.receive())
            if self._ws.is_closed:
                raise Gone
        except Gone:
            self._on_end(Closing(Code.NORMAL, "The browser closed the console."))
        except Broken as broken:
            self._on_end(broken.closing)
        except Refused as refused:
            self._on_end(refused.closing)
        else:
            self._update()
            if self._machine.has_more and not self._ws.is_full:
                self._machine_ready(READ)

    def _machine_ready(self, events: int) -> None:
        if not self.is_running:
            return
        for _ in range(PORTIONS if events & READ else 0):
            if self._ws.is_full:
                break
            try:
                goes_on = self._pass_on() if self._streams else self._carry()
            except _MachineGone:
                self._on_end(Closing(Code.ENDED))
                return
            except Gone:
                self._on_end(Closing(Code.NORMAL, "The browser closed the console."))
                return
            except Refused as refused:
                self._on_end(refused.closing)
                return
            if not goes_on:
                break
        if events & WRITE:
            try:
                self._machine.flush()
            except Gone:
                self._on_end(Closing(Code.ENDED))
                return
        self._update()

    def _carry(self) -> bool:
        """Read the machine once and send that on; whether more may be there. Raises Gone and Refused."""
        try:
            portions = self._machine.receive()
        except Gone as exc:
            raise _MachineGone from exc
        for portion in portions:
            self.from_machine += len(portion)
            self._give(portion)
            self._loop.went_out(len(portion))
        # A read that was not filled has taken all that was there.
        is_filled = bool(portions) and len(portions[-1]) == len(PORTION)
        self._streams = is_filled and self._gate is None and self._machine.is_bare
        return is_filled

    def _pass_on(self) -> bool:
        """The same without reading what it is, which nobody here needs to know of a screen that is open."""
        duct = self._loop.duct
        try:
            count = duct.take(self._machine.sock)
        except Gone as exc:
            raise _MachineGone from exc
        self._streams = count >= STREAM_BYTES
        if count:
            self.from_machine += count
            self._ws.pass_on(duct, count)
        return self._streams

    # -- bytes ---------------------------------------------------------------------------------------------------------

    def _take_all(self, messages: list[bytes]) -> None:
        """What the browser sent at once goes on at once: each sending wakes the machine."""
        passed = []
        try:
            for message in messages:
                self._count(message)
                if self._gate is not None:
                    self._negotiate("browser", message)
                else:
                    passed.append(self._filtered(message))
        finally:
            # Also what came before a mistake.
            self._write(b"".join(passed))

    def _count(self, message: bytes) -> None:
        self.from_browser += len(message)
        if not self._vnc or message[0] in _PEOPLE:
            self.used_at = time.monotonic()

    def _filtered(self, data: bytes) -> bytes:
        if self._vnc:
            return self._input.feed(data)
        return data if self.drives else b""

    def _give(self, data: memoryview | bytes) -> None:
        """Bytes of the machine; `data` is only lent."""
        if self._gate is not None:
            self._negotiate("machine", bytes(data))
        else:
            self._ws.push(data)

    def _negotiate(self, side: str, data: bytes) -> None:
        gate = self._gate
        if gate is None:
            return
        gate.feed("browser" if side == "browser" else "machine", data)
        if gate.to_machine:
            self._write(bytes(gate.to_machine))
            gate.to_machine.clear()
        if gate.to_browser:
            self._ws.push(bytes(gate.to_browser))
            gate.to_browser.clear()
        if gate.is_open:
            self._gate = None
            if rest := gate.rest("browser"):
                self._write(self._filtered(rest))
            if rest := gate.rest("machine"):
                self._ws.push(rest)

    def _write(self, data: bytes) -> None:
        if not data:
            return
        try:
            self._machine.push(data)
        except Gone as exc:
            raise Refused(Code.ENDED) from exc
        self._loop.went_out(len(data))

    # -- what to wait for ----------------------------------------------------------------------------------------------

    def _update(self) -> None:
        if not self.is_running:
            return
        ws_full, machine_full = self._ws.is_full, self._machine.is_full
        ws = (0 if machine_full else READ) | (WRITE if ws_full else 0)
        machine = (0 if ws_full else READ) | (WRITE if machine_full else 0)
        if ws != self._ws_interest:
            self._watch(self._ws.socket, self._ws_interest, ws, self._browser_ready)
            self._ws_interest = ws
        if machine != self._machine_interest:
            self._watch(self._machine.sock, self._machine_interest, machine, self._machine_ready)
            self._machine_interest = machine

    def _watch(self, sock: socket.socket, old: int, new: int, ready: Callable[[int], None]) -> None:
        if not old:
            self._loop.watch(sock, new, ready)
        elif new:
            self._loop.change(sock, new, ready)
        else:
            self._loop.forget(sock)
