"""Where a console is now, asked of the driver, and the connection to it.

Drivers block, so they live in threads here: a few lanes per provider, each with its own driver. A provider that hangs
holds its own lanes only; who asked gets an answer when the deadline is over, and what comes later is put away.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings

from providers.base import (
    Conflict,
    ConsoleKind,
    ConsoleTarget,
    Driver,
    LinkConsole,
    NotFound,
    NotSupported,
    ProviderError,
    SshConsole,
    StreamConsole,
    TcpConsole,
    TlsConsole,
    UnixConsole,
    ViewerConsole,
    WebSocketConsole,
)
from providers.models import Provider
from providers.pool import connect
from vms.console import ssh, upstream, viewer_file
from vms.console.closing import Closing, Code
from vms.console.loop import Loop
from vms.console.machine import Machine, Plain

logger = logging.getLogger(__name__)

LANES = 4
#: A lane that nobody needs lets go of its connection.
LANE_REST_S = 300.0


@dataclass(frozen=True, slots=True)
class Target:
    """An open connection to a machine's console. `endpoint` names the other end; a restart changes it."""

    machine: Machine
    endpoint: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Link:
    """The provider has a page of its own for this console."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handed:
    """A file for a viewer on the person's own computer, with its password."""

    text: str = field(repr=False)
    valid_s: int
    #: The driver's name for it.
    ticket: str


Found = Target | Link | Handed | Closing
Work = Callable[[Driver], object]


def endpoint_of(target: ConsoleTarget) -> str:
    match target:
        case TcpConsole():
            return f"tcp:{target.host}:{target.port}"
        case UnixConsole():
            return f"unix:{target.path}"
        case StreamConsole():
            return f"stream:{target.endpoint}"
        case TlsConsole():
            return f"tls:{target.host}:{target.port}"
        case SshConsole():
            return f"ssh:{target.endpoint}" if target.endpoint else ""
        case WebSocketConsole():
            # The address holds a ticket, which is another one each time.
            return f"ws:{target.endpoint}" if target.endpoint else ""
        case LinkConsole() | ViewerConsole():
            return ""


def reach(target: ConsoleTarget) -> Found:
    """Connect to where the driver pointed; blocks. Raises OSError and ProviderError."""
    match target:
        case TcpConsole():
            return Target(Plain(_dialled(target.host, target.port)), endpoint_of(target), target.password)
        case UnixConsole():
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.settimeout(settings.CONSOLE_PROVIDER_S)
                sock.connect(target.path)
            except OSError:
                sock.close()
                raise
            return Target(Plain(sock), endpoint_of(target), target.password)
        case StreamConsole():
            return Target(Plain(target.connect()), endpoint_of(target), target.password)
        case TlsConsole():
            sock = _dialled(target.host, target.port)
            secure = upstream.secured(sock, target.tls, target.server_name or target.host)
            return Target(Plain(secure), endpoint_of(target), target.password)
        case SshConsole():
            line = ssh.connected(target, settings.CONSOLE_PROVIDER_S)
            return Target(Plain(line), endpoint_of(target), target.password)
        case WebSocketConsole():
            machine = upstream.connected(target, settings.CONSOLE_PROVIDER_S)
            return Target(machine, endpoint_of(target), target.password)
        case LinkConsole():
            return Link(target.url)
        case ViewerConsole():
            return Handed(viewer_file.text_of(target), target.valid_s, target.ticket)


def _dialled(host: str, port: int) -> socket.socket:
    """No resolver is asked about a number, as nearly all addresses are: that takes as long as the connection itself."""
    if _is_number(host):
        sock = socket.socket(socket.AF_INET)
        try:
            sock.settimeout(settings.CONSOLE_PROVIDER_S)
            sock.connect((host, port))
        except OSError:
            sock.close()
            raise
    else:
        sock = socket.create_connection((host, port), timeout=settings.CONSOLE_PROVIDER_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


@functools.lru_cache(1024)
def _is_number(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


class _Errand:
    """One question to a driver; answered once, in the loop's thread."""

    def __init__(self, loop: Loop, provider: Provider, work: Work, done: Callable[[object], None]) -> None:
        self.provider, self.work = provider, work
        self.is_over = False
        self._loop, self._done = loop, done
        self._timer = loop.after(settings.CONSOLE_PROVIDER_S, self._too_late)

    def answer(self, result: object) -> None:
        self._loop.from_thread(lambda: self._finish(result))

    def _finish(self, result: object) -> None:
        if self.is_over:
            if isinstance(result, Target):
                result.machine.close()
            return
        self._timer.cancel()
        self.is_over = True
        self._done(result)

    def _too_late(self) -> None:
        self._finish(Closing(Code.TIMED_OUT))


class _Lanes:
    """The threads of one provider."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._errands: queue.SimpleQueue[_Errand | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = self._free = 0

    def do(self, errand: _Errand) -> None:
        self._errands.put(errand)
        with self._lock:
            if self._free >= self._errands.qsize() or self._count >= LANES:
                return
            self._count += 1
        threading.Thread(target=self._run, name=f"console-{self._name}", daemon=True).start()

    def close(self) -> None:
        for _ in range(self._count):
            self._errands.put(None)

    def _run(self) -> None:
        lane = _Lane()
        try:
            while True:
                with self._lock:
                    self._free += 1
                try:
                    errand = self._errands.get(timeout=LANE_REST_S)
                except queue.Empty:
                    return
                finally:
                    with self._lock:
                        self._free -= 1
                if errand is None:
                    return
                if not errand.is_over:
                    errand.answer(lane.do(errand.provider, errand.work))
        finally:
            with self._lock:
                self._count -= 1
            lane.drop()


class _Lane:
    """One thread's driver."""

    def __init__(self) -> None:
        self._driver: Driver | None = None
        self._made_from: tuple[object, ...] = ()

    def do(self, provider: Provider, work: Work) -> object:
        """The work's result, or the Closing that its failure means."""
        try:
            return work(self._driver_of(provider))
        except NotFound as exc:
            return Closing(Code.GONE, exc.reason)
        except Conflict as exc:
            return Closing(Code.NOT_RUNNING, exc.reason)
        except NotSupported as exc:
            return Closing(Code.NOT_CARRIED, exc.reason)
        except ProviderError as exc:
            self.drop()
            logger.warning("Consoles of provider %s: %s (%s)", provider.name, exc.reason, exc.detail)
            return Closing(Code.PROVIDER, exc.reason)
        except OSError as exc:
            logger.warning("A console of provider %s does not answer: %s", provider.name, exc)
            return Closing(Code.PROVIDER, "The machine's console does not answer.")
        except Exception:
            self.drop()
            logger.exception("A console of provider %s failed", provider.name)
            return Closing(Code.BROKEN)

    def drop(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def _driver_of(self, provider: Provider) -> Driver:
        made_from = (provider.kind, str(sorted(provider.config.items())), provider.sealed)
        if self._driver is None or self._made_from != made_from or not self._driver.is_alive:
            self.drop()
            self._driver, self._made_from = connect(provider), made_from
        return self._driver


class Targets:
    """All providers' consoles; used from the loop's thread only."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._lanes: dict[int, _Lanes] = {}

    def open(self, provider: Provider, external_id: str, kind: ConsoleKind, done: Callable[[Found], None]) -> None:
        """Ask the driver and connect; `done` is called in time, with a Closing when it did not work."""
        self._send(provider, lambda driver: reach(_ask(driver, external_id, kind)), done)

    def ask(
        self, provider: Provider, external_id: str, kind: ConsoleKind, done: Callable[[str | Closing], None]
    ) -> None:
        """Where the console is now, without connecting."""
        self._send(provider, lambda driver: endpoint_of(_ask(driver, external_id, kind)), done)

    def do(self, provider: Provider, work: Work, done: Callable[..., None]) -> None:
        """Whatever else a driver is asked; `done` gets its result in time, or a Closing."""
        self._send(provider, work, done)

    def close(self) -> None:
        for lanes in self._lanes.values():
            lanes.close()

    def _send(self, provider: Provider, work: Work, done: Callable[..., None]) -> None:
        lanes = self._lanes.setdefault(provider.pk, _Lanes(provider.name))
        lanes.do(_Errand(self._loop, provider, work, done))


def _ask(driver: Driver, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
    if driver.consoles is None:
        raise NotSupported("This provider has no consoles.")
    return driver.consoles.open(external_id, kind)
