"""Consoles: the screen over VNC and the serial line, without a port wherever that can be had; keys and pictures."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.base import (
    Conflict,
    ConsoleKind,
    Consoles,
    ConsoleTarget,
    Picture,
    ProviderError,
    StreamConsole,
    Stroke,
    TcpConsole,
    ViewerConsole,
    ViewerRecord,
    checked_strokes,
)
from providers.kvm import serial, tunnel
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.viewers import Viewers
from providers.kvm.xml.build import read, write
from providers.kvm.xml.domain_reader import SeenGraphics, SeenMachine, read_machine
from providers.kvm.xml.screens import LONG_AGO, new_password

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
#: How long a viewer may take from its file to its connection.
VIEWER_S = 60
#: A picture that is larger than any screen is none.
_MOST_BYTES = 128 * 1024 * 1024
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, never listened on


class KvmConsoles(Part, Consoles):
    """What is returned belongs to this run of the VM: libvirt's number of the running domain is in `endpoint`.

    | hypervisor | VM listens on        | target |
    |------------|----------------------|--------|
    | local      | anything, or nothing | StreamConsole: libvirt passes a descriptor (virDomainOpenGraphicsFD) |
    | by ssh     | loopback             | StreamConsole: through ssh |
    | remote     | another address      | TcpConsole, with the VM's VNC password |
    | tls, tcp   | loopback             | Conflict: nothing leads there |

    A screen of SPICE is not carried: its viewer connects to the host, where the VM listens on the provider's SPICE
    address. One that listens on loopback is refused, unless that is what an administrator wrote there.
    """

    def open(self, external_id: str, kind: ConsoleKind, *, force: bool = False) -> ConsoleTarget:
        """`force` takes a serial line over from whoever has it open; otherwise that is a Conflict when connecting."""
        with vendor_calls():
            domain = self.domain(external_id)
            number = domain.ID()
            if number == -1:
                raise Conflict("Start the VM first.")
            machine = read_machine(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
        if kind is ConsoleKind.SPICE:
            return self._viewer(external_id, number, machine)
        if kind is ConsoleKind.SERIAL:
            if not machine.has_serial:
                raise Conflict("The VM has no serial console.")
            return StreamConsole(
                connect=lambda: self._serial(external_id, number, force), endpoint=f"{external_id}#{number}/serial"
            )
        screens = [(index, graphics) for index, graphics in enumerate(machine.graphics) if graphics.type == "vnc"]
        if not screens:
            raise Conflict("The VM has no VNC console.")
        index, graphics = screens[0]
        return self._vnc(external_id, number, index, graphics)

    def send_keys(self, external_id: str, strokes: Sequence[Stroke], *, hold_ms: int = 20) -> None:
        """One virDomainSendKey a stroke. QEMU puts them in a queue of its own and waits after each key that goes
        down or up, so this waits as long: what comes too fast is thrown away there without a word.
        """
        wanted = checked_strokes(strokes, hold_ms)
        with vendor_calls():
            domain = self._running(external_id)
            for stroke in wanted:
                domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, hold_ms, stroke, len(stroke), 0)
                time.sleep(2 * len(stroke) * hold_ms / 1000)

    def screenshot(self, external_id: str) -> Picture:
        """The first screen, as QEMU writes it: PPM, or PNG where it can."""
        with vendor_calls():
            domain = self._running(external_id)
            if not read_machine(domain.XMLDesc(0)).graphics:
                raise Conflict("The VM has no screen.")
            stream = self.raw.newStream(0)
            media_type = domain.screenshot(stream, 0, 0)
            parts: list[bytes] = []
            size = 0

            def take(_: Any, data: bytes, __: Any) -> int:
                nonlocal size
                size += len(data)
                parts.append(data)
                return -1 if size > _MOST_BYTES else 0

            stream.recvAll(take, None)
            stream.finish()
        if not size:
            raise ProviderError("The hypervisor gave an empty picture of the screen.")
        return Picture(media_type=str(media_type), data=b"".join(parts))

    def _running(self, external_id: str) -> Any:
        domain = self.domain(external_id)
        if domain.ID() == -1:
            raise Conflict("Start the VM first.")
        return domain

    def _vnc(self, external_id: str, number: int, index: int, graphics: SeenGraphics) -> ConsoleTarget:
        endpoint = f"{external_id}#{number}/vnc{index}"
        if self.config.is_local:
            return StreamConsole(connect=lambda: self._descriptor(external_id, number, index), endpoint=endpoint)
        host = self.config.host if graphics.listen in _ANY else graphics.listen
        if graphics.port <= 0:
            raise Conflict("This VM's screen cannot be reached from another host.")
        if host not in _LOOPBACK:
            return TcpConsole(host=host, port=graphics.port, password=graphics.password)
        if self.config.transport != "ssh":
            raise Conflict("This VM's screen can only be reached on its host; connect the provider by ssh.")
        return StreamConsole(
            connect=lambda: tunnel.connect(self.config, self.connection.access, host, graphics.port),
            endpoint=f"{endpoint}:{graphics.port}",
            password=graphics.password,
        )

    def _viewer(self, external_id: str, number: int, machine: SeenMachine) -> ViewerConsole:
        graphics = next((each for each in machine.graphics if each.type == "spice"), None)
        if graphics is None:
            raise Conflict("The VM has no SPICE screen.")
        host = self._viewers_host(graphics)
        password = new_password()
        until = datetime.now(UTC) + timedelta(seconds=VIEWER_S)
        with vendor_calls():
            domain = self._same(external_id, number)
            with self._viewers.changing:
                ticket = self._viewers.expect(external_id, number, (graphics.port, graphics.tls_port))
                try:
                    _let_in_by(domain, password, until.strftime("%Y-%m-%dT%H:%M:%S"))
                except BaseException:
                    # Whoever came by the last one may be there still.
                    self._viewers.forget(external_id)
                    raise
        return ViewerConsole(
            protocol="spice",
            host=host,
            port=max(graphics.port, 0),
            tls_port=max(graphics.tls_port, 0),
            password=password,
            valid_s=VIEWER_S,
            title=machine.name,
            ticket=ticket,
        )

    def viewer(self, external_id: str, ticket: str) -> ViewerRecord:
        with vendor_calls():
            number = self._running(external_id).ID()
        return self._viewers.record(external_id, ticket, number)

    def close_viewer(self, external_id: str, ticket: str = "") -> None:
        with self._viewers.changing, vendor_calls():
            if ticket and not self._viewers.is_last(external_id, ticket):
                return
            domain = self.domain_or_none(external_id)
            if domain is not None and _has_spice(domain):
                _let_in_by(domain, new_password(), LONG_AGO)
            self._viewers.forget(external_id)

    @property
    def _viewers(self) -> Viewers:
        return self.connection.remembered(Viewers, lambda: Viewers(self.connection))

    def _viewers_host(self, graphics: SeenGraphics) -> str:
        """Where the person's computer finds it; raises Conflict when it cannot."""
        has_port = graphics.port > 0 or graphics.tls_port > 0
        ours = self.config.spice_address
        if not has_port or not graphics.listen or (graphics.listen in _LOOPBACK and graphics.listen != ours):
            raise Conflict(
                "This VM's SPICE screen can be reached on its host only. It gets the provider's SPICE address when its "
                "screen protocol is set to VNC and then to SPICE again."
            )
        host = (ours or self.config.host) if graphics.listen in _ANY else graphics.listen
        if not host:
            raise Conflict("The provider has no SPICE address; an administrator can give it one.")
        return host

    def _descriptor(self, external_id: str, number: int, index: int) -> socket.socket:
        with vendor_calls():
            domain = self._same(external_id, number)
            # Whoever got here was let in by the portal; a password in the VM's document is for others.
            return socket.socket(fileno=domain.openGraphicsFD(index, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH))

    def _serial(self, external_id: str, number: int, force: bool) -> socket.socket:
        with vendor_calls():
            domain = self._same(external_id, number)
            stream = self.raw.newStream(0)
            flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0
            try:
                domain.openConsole(None, stream, flags)
            except LibvirtError as exc:
                if has_code(exc, libvirt.VIR_ERR_OPERATION_FAILED):
                    raise Conflict("Somebody else has this serial console open.", str(exc)) from exc
                raise
            return serial.pumped(stream)

    def _same(self, external_id: str, number: int) -> Any:
        """The domain in the same run as when the console was asked for."""
        domain = self.domain(external_id)
        if domain.ID() != number:
            raise Conflict("The VM was stopped or restarted meanwhile; open the console again.")
        return domain


def _has_spice(domain: Any) -> bool:
    """Whether it runs and has such a screen."""
    return domain.ID() != -1 and any(each.type == "spice" for each in read_machine(domain.XMLDesc(0)).graphics)


def _let_in_by(domain: Any, password: str, until: str) -> None:
    """Give a running VM's SPICE screen this password, good until then; whoever is there is disconnected.

    `until` is by the host's clock, in UTC (https://libvirt.org/formatdomain.html#graphical-framebuffers).
    Raises Conflict, and libvirt's error.
    """
    # As it is now, with its ports: whatever else differed would be refused.
    element = read(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)).find("devices/graphics[@type='spice']")
    if element is None:
        raise Conflict("The VM has no SPICE screen.")
    element.set("passwd", password)
    element.set("passwdValidTo", until)
    element.set("connected", "disconnect")
    domain.updateDeviceFlags(write(element), libvirt.VIR_DOMAIN_AFFECT_LIVE)
