"""Bytes through the relay: what a machine streams goes through the kernel's pipe, and nobody gets another's."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from providers.base import ConsoleKind
from tests.vms.console.browser import BINARY, CLOSE, frame
from vms.console.closing import Closing, Code
from vms.console.duct import Duct
from vms.console.framing import ConsoleSocket, Gone
from vms.console.loop import Loop
from vms.console.machine import Plain
from vms.console.relay import Relay


@pytest.fixture
def duct() -> Iterator[Duct]:
    duct = Duct()
    yield duct
    duct.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    yield loop
    loop.from_thread(loop.stop)
    thread.join(10)
    assert not thread.is_alive()
    loop.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname(), timeout=10)
        other, _ = listener.accept()
    return one, other


class Film:
    """A machine that streams into one browser, through a relay of its own."""

    def __init__(self, loop: Loop, pair: Callable[[], tuple[socket.socket, socket.socket]]) -> None:
        self.browser, ours = pair()
        self.machine, its = pair()
        self.browser.settimeout(20)
        self.machine.settimeout(20)
        self.ended: list[Closing] = []
        self.relay = Relay(
            loop,
            ConsoleSocket(ours, on_pong=lambda: None),
            Plain(its),
            kind=ConsoleKind.SERIAL,
            password="",
            on_end=self._end,
        )
        self._ours = ours
        loop.from_thread(self.relay.start)

    def _end(self, closing: Closing) -> None:
        self.ended.append(closing)
        self.relay.stop()
        self._ours.close()

    def show(self, data: bytes) -> None:
        def send() -> None:
            with contextlib.suppress(OSError):
                self.machine.sendall(data)

        threading.Thread(target=send, daemon=True).start()

    def seen(self, count: int) -> str:
        """The hash of the next `count` bytes that the browser is shown."""
        found, taken = hashlib.sha256(), 0
        with self.browser.makefile("rb") as stream:
            while taken < count:
                head = stream.read(2)
                length = head[1]
                if length >= 126:
                    length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
                data = stream.read(length)
                assert head[0] == 0x80 | BINARY
                found.update(data)
                taken += len(data)
        return found.hexdigest()

    def close(self) -> None:
        self.browser.close()
        self.machine.close()


@pytest.mark.parametrize("pair", [tcp_pair, socket.socketpair], ids=["tcp", "unix"])
def test_films_of_many_machines_arrive_as_they_were_sent(
    pair: Callable[[], tuple[socket.socket, socket.socket]], loop: Loop
) -> None:
    films = [Film(loop, pair) for _ in range(3)]
    sent = [random.Random(number).randbytes(3_000_000 + number) for number in range(3)]
    for film, data in zip(films, sent, strict=True):
        film.show(data)
    for film, data in zip(films, sent, strict=True):
        # The later ones wait meanwhile: their sockets are full, and what was taken for them is kept.
        assert film.seen(len(data)) == hashlib.sha256(data).hexdigest()
        assert film.relay.from_machine == len(data)
    for film in films:
        film.close()


def test_a_browser_that_leaves_in_the_middle_of_a_film_leaves_nothing_to_the_next_one(loop: Loop) -> None:
    for _ in range(4):
        left = Film(loop, tcp_pair)
        left.show(b"theirs" * 1_000_000)
        left.browser.recv(200_000)
        left.close()
        stays = Film(loop, tcp_pair)
        data = b"mine!" * 300_000
        stays.show(data)
        assert stays.seen(len(data)) == hashlib.sha256(data).hexdigest()
        stays.close()
        deadline = time.monotonic() + 5
        while not (left.ended and stays.ended) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert left.ended[0].code in {Code.NORMAL, Code.ENDED}
    assert loop.duct.inside == 0


def test_what_nobody_can_be_given_is_thrown_away_with_the_pipe(duct: Duct) -> None:
    machine, its = socket.socketpair()
    machine.sendall(b"secret")
    its.setblocking(False)
    assert duct.take(its) == 6
    gone, ours = socket.socketpair()
    gone.close()
    with pytest.raises(Gone):
        duct.give(ours)
    assert duct.inside == 0
    machine.sendall(b"open")
    assert duct.take(its) == 4
    assert duct.rest() == b"open"
    for sock in (machine, its, ours):
        sock.close()


def test_what_was_taken_and_not_given_is_nobodys_when_the_next_is_taken(duct: Duct) -> None:
    machine, its = socket.socketpair()
    machine.sendall(b"secret")
    its.setblocking(False)
    duct.take(its)
    other, others = socket.socketpair()
    other.sendall(b"open")
    assert duct.take(others) == 4
    assert duct.rest() == b"open"
    for sock in (machine, its, other, others):
        sock.close()


def test_a_machine_that_has_nothing_to_say_is_not_one_that_is_gone(duct: Duct) -> None:
    machine, its = socket.socketpair()
    its.setblocking(False)
    assert duct.take(its) == 0
    machine.close()
    with pytest.raises(Gone):
        duct.take(its)
    its.close()


def test_a_browser_that_was_told_the_end_gets_nothing_more(duct: Duct) -> None:
    browser, ours = socket.socketpair()
    machine, its = socket.socketpair()
    its.setblocking(False)
    ws = ConsoleSocket(ours, on_pong=lambda: None)
    ws.end(Closing(Code.TIME_UP))
    machine.sendall(b"late")
    ws.pass_on(duct, duct.take(its))
    assert duct.inside == 0
    told = browser.recv(4096)
    assert told[0] == 0x80 | CLOSE
    assert b"late" not in told
    for sock in (browser, ours, machine, its):
        sock.close()


def test_a_whole_message_and_the_same_in_pieces_are_read_alike() -> None:
    """The short way for what is there as one frame, and the engine's for all else."""
    for size in (2, 8, 64, 65, 125, 126, 5000, 70_000):
        data = random.Random(size).randbytes(size)
        found = []
        for pieces in ([frame(data)], [frame(data[: size // 2], fin=False), frame(data[size // 2 :], 0)]):
            browser, ours = socket.socketpair()
            ws = ConsoleSocket(ours, on_pong=lambda: None)
            got, sent = b"", b"".join(pieces)
            for start in range(0, len(sent), 60_000):
                browser.sendall(sent[start : start + 60_000])
                got += b"".join(bytes(each) for each in ws.receive())
            found.append(got)
            browser.close()
            ours.close()
        # Compared outside of the assertions: the difference of long bytes takes minutes to be told.
        are_alike = found == [data, data]
        assert are_alike, size
