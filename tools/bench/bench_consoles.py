"""Consoles: how fast, how light and how steady, beside raw TCP on loopback and stock websockify in the same run.

`KVWEB_BENCH_HOLD_S` says how long 4000 consoles are held open (300 seconds unless told otherwise), `KVWEB_BENCH_HELD`
how many, where 4000 are too many.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import resource
import secrets
import selectors
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tools.bench.console_client import PING, PONG, Screen, Way
from tools.bench.console_machine import SINK_BYTES
from tools.bench.django_home import django_here
from tools.bench.harness import Skip, bench, measure

if TYPE_CHECKING:
    from vms.models import VirtualMachine

DOWN_BYTES = 96 * 1024 * 1024
ROUND_TRIPS = 3000
OPENINGS = 40
PAUSE_S = 0.015
#: The service writes down what was carried about so often.
NOTE_S = 10.0
HELD = int(os.environ.get("KVWEB_BENCH_HELD", "4000"))
#: Typed into at each turn; a turn is 50 ms, so that each console's comes every ten seconds.
AT_ONCE = max(1, HELD // 200)
HOLD_S = float(os.environ.get("KVWEB_BENCH_HOLD_S", "300"))
ENOUGH = "20000"
#: A clipboard of RFB, as long as a browser's frame; what else a screen takes is a few bytes long.
CLIPBOARD = struct.pack(">BxxxI", 6, 65_536 - 8) + bytes(65_536 - 8)
#: A key that goes down, as RFB says it.
KEY = struct.pack(">BBHI", 4, 1, 0, 0x61)
Connect = Callable[[], Screen]


class Bench:
    """The processes of one run, and people with the right to open what stands in it."""

    def __init__(self, ports: dict[str, int], proxy_port: int, proxy_pid: int) -> None:
        self.ports, self.proxy_port, self.proxy_pid = ports, proxy_port, proxy_pid
        self.websockify_ports: dict[str, int] = {}
        self._vms: dict[str, list[VirtualMachine]] = {}
        self._prepare()

    def _prepare(self) -> None:
        from django.conf import settings
        from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
        from django.contrib.sessions.backends.db import SessionStore

        from kvweb.accounts.models import Membership, Project, User
        from providers.models import Health, Provider
        from providers.registry import plugin

        project, _ = Project.objects.get_or_create(name="Consoles")
        self.user, _ = User.objects.get_or_create(username="watcher")
        Membership.objects.get_or_create(user=self.user, project=project, defaults={"role": "member"})
        capabilities = plugin("fake").declares.to_json()
        self.provider, _ = Provider.objects.get_or_create(
            name="Screens", defaults={"kind": "fake", "health": Health.OK, "capabilities": capabilities}
        )
        self.project = project
        session = SessionStore()
        session[SESSION_KEY] = str(self.user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = self.user.get_session_auth_hash()
        session.create()
        self.session_key = str(session.session_key)
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={self.session_key}"

    def raw(self, name: str) -> Connect:
        return Way(self.ports[name]).connected

    def websockify(self, name: str) -> Connect:
        return Way(self.websockify_ports[name], "/websockify", "binary").connected

    def portal(self, name: str) -> Connect:
        """Each connection with a grant and a machine of its own, both made before."""
        ways = iter(self.ways(name, 250))
        return lambda: next(ways).connected()

    def ways(self, name: str, count: int) -> list[Way]:
        from django.utils import timezone

        from vms.console.grants import hashed
        from vms.models import ConsoleGrant

        kind = "serial" if name == "line" else "vnc"
        tokens = [secrets.token_urlsafe(32) for _ in range(count)]
        grants = ConsoleGrant.objects.bulk_create(
            ConsoleGrant(
                vm=vm,
                user=self.user,
                session_key=hashed(self.session_key),
                kind=kind,
                token_hash=hashed(token),
                expires_at=timezone.now() + timedelta(hours=2),
            )
            for vm, token in zip(self._machines(name, count), tokens, strict=True)
        )
        return [
            Way(self.proxy_port, f"/ws/console/{grant.uuid}", f"binary, kvweb.token.{token}", self.cookie)
            for grant, token in zip(grants, tokens, strict=True)
        ]

    def _machines(self, name: str, count: int) -> list[VirtualMachine]:
        """Machines on which no console is open, so that the next one has the keyboard."""
        from vms.models import VirtualMachine

        known = len(self._vms.setdefault(name, []))
        made = VirtualMachine.objects.bulk_create(
            VirtualMachine(
                project=self.project,
                provider=self.provider,
                name=f"{name}-{number}",
                external_id=f"{self.ports[name]}:{number}",
                presence="present",
                power="running",
                vcpus=1,
                memory_mib=512,
                disk_gib=1,
            )
            for number in range(known, known + count)
        )
        self._vms[name] += made
        return made

    def proxy_kib(self) -> float:
        """Memory that is the proxy's own, its share of what it has in common with others included."""
        for row in Path(f"/proc/{self.proxy_pid}/smaps_rollup").read_text().splitlines():
            if row.startswith("Pss:"):
                return float(row.split()[1])
        raise Skip("this kernel does not tell a process's share of memory")


@contextmanager
def running(
    command: list[str], variables: Mapping[str, str] | None = None, *, is_quiet: bool = False
) -> Iterator[subprocess.Popen[str]]:
    output = subprocess.DEVNULL if is_quiet else subprocess.PIPE
    errors = subprocess.DEVNULL if is_quiet else None
    process = subprocess.Popen(
        command, stdout=output, stderr=errors, text=True, env={**os.environ, **(variables or {})}
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        if process.stdout is not None:
            process.stdout.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def listening(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise Skip(f"nothing answers at port {port}")


@contextmanager
def started(*websockified: str) -> Iterator[Bench]:
    """The machines, the proxy, and a stock websockify for each of these ports."""
    django_here()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    proxy_port = free_port()
    limits = {f"KVWEB_CONSOLES_{name}": ENOUGH for name in ("PER_USER", "MAX")}
    service = [sys.executable, "-m", "tools.bench.console_service", f"127.0.0.1:{proxy_port}"]
    with (
        running([sys.executable, "-m", "tools.bench.console_machine"]) as machine,
        running(service, limits) as proxy,
    ):
        if machine.stdout is None:
            raise Skip("no machines")
        ports: dict[str, int] = json.loads(machine.stdout.readline())
        listening(proxy_port)
        here = Bench(ports, proxy_port, proxy.pid)
        with _websockified(here, list(websockified)):
            yield here


@contextmanager
def _websockified(here: Bench, names: list[str]) -> Iterator[None]:
    if not names:
        yield
        return
    name, *others = names
    port = free_port()
    program = str(Path(sys.executable).with_name("websockify"))
    # It tells of each connection, and nobody reads it.
    with running([program, f"127.0.0.1:{port}", f"127.0.0.1:{here.ports[name]}"], is_quiet=True):
        listening(port)
        here.websockify_ports[name] = port
        with _websockified(here, others):
            yield


# -- bytes -------------------------------------------------------------------------------------------------------------


def down(connect: Connect) -> float:
    """MB/s that reach the browser; a frame's few bytes of header count as they do on the wire."""
    screen = connect()
    screen.see()
    buffer = bytearray(512 * 1024)
    taken, began = 0, time.perf_counter()
    while taken < DOWN_BYTES:
        count = screen.sock.recv_into(buffer)
        if not count:
            raise ConnectionError("closed while it sent")
        taken += count
    took = time.perf_counter() - began
    screen.close()
    return taken / took / 1e6


def up(connect: Connect) -> float:
    screen = connect()
    screen.see()
    data = screen.packed(CLIPBOARD)
    began = time.perf_counter()
    for _ in range(SINK_BYTES // len(CLIPBOARD)):
        screen.sock.sendall(data)
    screen.read(1)
    took = time.perf_counter() - began
    screen.close()
    return SINK_BYTES / took / 1e6


def round_trips(connect: Connect, sent: bytes) -> list[float]:
    """Microseconds of each; `sent` goes there and comes back."""
    screen, found = connect(), []
    if len(sent) > 1:
        screen.see()
        # The end of the handshake must not arrive together with the first key.
        time.sleep(0.05)
    key = screen.packed(sent)
    wanted = len(sent) + (2 if screen.is_framed else 0)
    screen.send(sent)
    screen.read(len(sent))
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        screen.sock.sendall(key)
        taken = 0
        while taken < wanted:
            taken += len(screen.sock.recv(64))
        found.append((time.perf_counter() - began) * 1e6)
    screen.close()
    return sorted(found)


def opening_ms(connect: Connect, pause_s: float = 0.0) -> float:
    """Until the machine's first byte is there: right checked, provider asked, connected. The median of many."""
    took = []
    for _ in range(OPENINGS):
        began = time.perf_counter()
        screen = connect()
        screen.read(12)
        took.append((time.perf_counter() - began) * 1e3)
        screen.close()
        time.sleep(pause_s)
    return statistics.median(took)


def at(place: float, values: list[float]) -> float:
    return values[int(len(values) * place)]


@bench
def console_speed() -> None:
    names = ("source65536", "source1400", "sink", "line", "screen")
    with started(*names, "idle") as here:
        for size in (65_536, 1400):
            name = f"source{size}"
            beside = functools.partial(down, here.raw(name))
            what = f"console, machine to browser, {size} B writes"
            measure(what, "MB/s", functools.partial(down, here.portal(name)), baseline=beside, baseline_name="raw TCP",
                    goal=">= 0.6 x", times=7)  # fmt: skip
            _stock(what, "MB/s", functools.partial(down, here.websockify(name)), beside)
        beside = functools.partial(up, here.raw("sink"))
        what = "console, browser to machine"
        measure(what, "MB/s", functools.partial(up, here.portal("sink")), baseline=beside, baseline_name="raw TCP",
                goal=">= 0.25 x", times=7)  # fmt: skip
        _stock(what, "MB/s", functools.partial(up, here.websockify("sink")), beside)
        for what, name, sent in (("one byte, serial line", "line", b"x"), ("a key, screen", "screen", KEY)):
            for place, label, goal in ((0.5, "p50", "<= 2.5 x"), (0.99, "p99", None)):
                title = f"console, round trip of {what}, {label}"
                ours, raw, stock = here.portal(name), here.raw(name), here.websockify(name)
                beside = functools.partial(_round_trip, raw, sent, place)
                measure(title, "µs", functools.partial(_round_trip, ours, sent, place), baseline=beside,
                        baseline_name="raw TCP", goal=goal, times=7)  # fmt: skip
                _stock(title, "µs", functools.partial(_round_trip, stock, sent, place), beside)
        # One right after the other, as the proxies of other projects were measured; and with pauses, as people do it:
        # then the processor has slept meanwhile, and waking it is a part of every step.
        for how, pause_s, goal in (("one after the other", 0.0, "<= 2"), ("now and then", PAUSE_S, None)):
            what = f"console, opened with the grant checked, {how}, p50"
            beside = functools.partial(opening_ms, here.raw("idle"), pause_s)
            ways = iter(here.ways("idle", OPENINGS * 8))
            own = functools.partial(_opening_ms, ways, pause_s)
            measure(what, "ms", own, baseline=beside, baseline_name="raw TCP", goal=goal, times=5)
            _stock(what, "ms", functools.partial(opening_ms, here.websockify("idle"), pause_s), beside)


def _opening_ms(ways: Iterator[Way], pause_s: float) -> float:
    return opening_ms(lambda: next(ways).connected(), pause_s)


def _round_trip(connect: Connect, sent: bytes, place: float) -> float:
    return at(place, round_trips(connect, sent))


def _stock(what: str, unit: str, run: Callable[[], float], beside: Callable[[], float]) -> None:
    measure(f"{what} (stock websockify)", unit, run, baseline=beside, baseline_name="raw TCP")


# -- many --------------------------------------------------------------------------------------------------------------


@bench
def console_memory() -> None:
    """Idle consoles, opened until there are 4000; then all of them are used while one streams."""
    with started("idle") as here:
        stock = here.websockify("idle")
        # What all consoles have in common is not counted for the first ones: code that looks after them is loaded when
        # they are first checked and noted, so a few live as long as that takes.
        first = [way.connected() for way in here.ways("idle", 20)]
        for screen in first:
            screen.see()
        time.sleep(NOTE_S + 2)
        for screen in first:
            screen.close()
        time.sleep(3)
        empty_kib = here.proxy_kib()
        screens: list[Screen] = []
        for count in sorted({50, min(500, HELD), HELD}):
            for way in here.ways("idle", count - len(screens)):
                screen = way.connected()
                screen.see()
                screens.append(screen)
                if len(screens) % 50 == 0:
                    _answer_all(screens)
            time.sleep(1)
            each = (here.proxy_kib() - empty_kib) / count
            beside = _websockify_kib(stock) if count == 50 else None
            measure(f"memory of an idle console, {count} open", "KiB", functools.partial(float, each), goal="<= 16",
                    baseline=beside, baseline_name="stock websockify, 20 open" if beside else None)  # fmt: skip
        lost, late_ms = _held(here, screens)
        measure(f"consoles lost of {HELD} held {HOLD_S:.0f} s under load", "", lambda: lost, goal="<= 0")
        measure("an echo meanwhile, p99", "ms", lambda: late_ms)
        for screen in screens:
            screen.close()


def _websockify_kib(connect: Connect) -> float:
    """Each of its connections is a process; what 20 of them add."""
    before = _children_kib()
    screens = [connect() for _ in range(20)]
    for screen in screens:
        screen.see()
    time.sleep(0.5)
    each = (_children_kib() - before) / len(screens)
    for screen in screens:
        screen.close()
    return each


def _children_kib() -> float:
    total = 0.0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"websockify" in (folder / "cmdline").read_bytes():
                rows = (folder / "smaps_rollup").read_text().splitlines()
                total += next(float(row.split()[1]) for row in rows if row.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total


def _held(here: Bench, screens: list[Screen]) -> tuple[float, float]:
    """Type into every console again and again while one streams; how many ended, and how late echoes were."""
    stream = here.ways("source65536", 1)[0].connected()
    stream.see()
    waiting = selectors.DefaultSelector()
    for screen in screens:
        screen.sock.setblocking(False)
        waiting.register(screen.sock, selectors.EVENT_READ, screen)
    stream.sock.setblocking(False)
    waiting.register(stream.sock, selectors.EVENT_READ, None)
    key = screens[0].packed(KEY)
    lost: set[int] = set()
    sent: dict[int, float] = {}
    late: list[float] = []
    end, turn, place, resting = time.monotonic() + HOLD_S, 0.0, 0, 0.0
    while (now := time.monotonic()) < end:
        if now >= turn:
            # Each console is typed into every ten seconds.
            turn = now + 0.05
            for screen in screens[place : place + AT_ONCE]:
                if id(screen) not in lost:
                    sent.setdefault(id(screen), now)
                    with contextlib.suppress(OSError):
                        # One that has ended is noticed when it is read.
                        screen.sock.send(key)
            place = (place + AT_ONCE) % len(screens)
        if now >= resting:
            # A film of some 30 MB/s, and not a machine that is busy with nothing else.
            resting = now + 0.02
            _drain(stream.sock)
        for ready, _ in waiting.select(0.01):
            screen = ready.data
            if screen is None:
                continue
            if not _answered(screen):
                lost.add(id(screen))
                waiting.unregister(screen.sock)
            elif id(screen) in sent:
                late.append((time.monotonic() - sent.pop(id(screen))) * 1e3)
        if len(lost) > HELD // 2:
            break
    # Echoes that never came are consoles that do not live, whatever their sockets say.
    silent = {each for each, when in sent.items() if time.monotonic() - when > 30}
    stream.close()
    return float(len(lost | silent)), at(0.99, sorted(late)) if late else 0.0


def _answer_all(screens: list[Screen]) -> None:
    """The first ones are asked whether they are still there while the last ones are being opened."""
    waiting = selectors.DefaultSelector()
    for screen in screens:
        waiting.register(screen.sock, selectors.EVENT_READ, screen)
    for ready, _ in waiting.select(0):
        _answered(ready.data)
    waiting.close()


def _drain(sock: socket.socket) -> None:
    try:
        sock.recv(600 * 1024)
    except BlockingIOError:
        return


def _answered(screen: Screen) -> bool:
    """Read what came; answers pings, since a browser would. False when the console is over."""
    try:
        data = screen.sock.recv(4096)
        if not data:
            return False
        while len(data) >= 2:
            opcode, length = data[0] & 0x0F, data[1] & 0x7F
            if opcode == PING:
                screen.sock.send(screen.packed(data[2 : 2 + length], PONG))
            elif opcode == 0x8:
                return False
            data = data[2 + length :]
    except OSError:
        return False
    return True
