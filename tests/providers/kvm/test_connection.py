"""A line that is dead, silent or inherited never holds anybody up."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.base import ProviderError, ProviderEvent, Unreachable
from providers.kvm import connection as connections
from providers.kvm.config import KvmConfig
from providers.kvm.driver import KvmDriver
from providers.kvm.testing import Backend
from tests.providers.kvm.conftest import MakeVm
from tools.trial.libvirtd import PrivateLibvirt

pytestmark = pytest.mark.live


@pytest.fixture
def private() -> Iterator[PrivateLibvirt]:
    daemon = PrivateLibvirt()
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


def config_of(private: PrivateLibvirt) -> KvmConfig:
    return KvmConfig(uri=private.uri)


def test_a_host_that_is_silent_is_unreachable_within_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        config = KvmConfig(uri=f"qemu+unix:///system?socket={path}", open_timeout_s=0.5)
        before = set(threading.enumerate())
        begun = time.monotonic()
        for _ in range(3):
            with pytest.raises(Unreachable):
                KvmDriver(config)
        assert time.monotonic() - begun < 2.5
        # However often it is tried, one thread waits.
        names = [thread.name for thread in set(threading.enumerate()) - before]
        assert names.count("libvirt-open") == 1


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+unix:///system?socket=/nowhere/libvirt-sock",
        "qemu+tcp://127.0.0.1:1/system",
        "qemu+ssh://kvweb-test-nowhere.invalid/system",
    ],
)
def test_a_host_that_is_not_there_is_unreachable(uri: str) -> None:
    with pytest.raises(Unreachable) as caught:
        KvmDriver(KvmConfig(uri=uri, open_timeout_s=5))
    assert "kvweb-test-nowhere" not in caught.value.reason


def test_a_host_that_answers_late_serves_the_next(private: PrivateLibvirt) -> None:
    private.freeze()
    config = config_of(private).model_copy(update={"open_timeout_s": 0.3})
    with pytest.raises(Unreachable):
        KvmDriver(config)
    private.thaw()
    with KvmDriver(config_of(private)) as driver:
        assert driver.machines.list() == []


def test_drivers_share_a_line_and_each_may_leave(private: PrivateLibvirt) -> None:
    first, second = KvmDriver(config_of(private)), KvmDriver(config_of(private))
    assert first.connection is second.connection
    first.close()
    first.close()
    assert not first.is_alive
    assert second.is_alive
    assert second.machines.list() == []
    second.close()
    with KvmDriver(config_of(private)) as third:
        assert third.connection is second.connection


def test_a_daemon_that_died_is_unreachable_at_once_and_found_again(private: PrivateLibvirt) -> None:
    driver = KvmDriver(config_of(private))
    told: list[BaseException] = []

    def watch() -> None:
        try:
            assert driver.events is not None
            driver.events.watch(lambda _event: None, threading.Event())
        except ProviderError as exc:
            told.append(exc)

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(0.2)
    private.kill()
    begun = time.monotonic()
    watcher.join(5)
    assert time.monotonic() - begun < 2
    assert [type(error) for error in told] == [Unreachable]
    assert not driver.is_alive
    with pytest.raises(Unreachable):
        driver.machines.list()
    with pytest.raises(Unreachable):
        driver.probe()
    driver.close()
    private.start()
    with KvmDriver(config_of(private)) as again:
        assert again.machines.list() == []
        assert again.is_alive


@pytest.mark.slow
def test_a_daemon_that_hangs_is_given_up_by_the_keepalive(private: PrivateLibvirt) -> None:
    with KvmDriver(config_of(private)) as driver:
        driver.machines.list()
        private.freeze()
        begun = time.monotonic()
        with pytest.raises(Unreachable):
            driver.machines.list()
        waited = time.monotonic() - begun
        private.thaw()
    assert waited < connections.KEEPALIVE_INTERVAL_S * (connections.KEEPALIVE_COUNT + 2)


def test_a_watcher_leaves_within_a_second(private: PrivateLibvirt) -> None:
    stop = threading.Event()
    events: list[ProviderEvent] = []
    with KvmDriver(config_of(private)) as driver:
        assert driver.events is not None
        watcher = threading.Thread(target=driver.events.watch, args=(events.append, stop))
        watcher.start()
        time.sleep(0.1)
        stop.set()
        watcher.join(1)
        assert not watcher.is_alive()


def test_a_forked_child_talks_on_a_line_of_its_own(backend: Backend, make_vm: MakeVm) -> None:
    """It gets no events, says so, and does not disturb its parent's conversation, not even by ending."""
    name = make_vm().name
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with KvmDriver(backend.config) as driver:
                seen = {vm.name for vm in driver.machines.list()}
                again = {vm.name for vm in driver.machines.list()}
                fine = driver.events is None and driver.probe().events is None and name in seen & again
                os.write(writing, b"fine" if fine else b"wrong")
        except BaseException as exc:
            os.write(writing, repr(exc).encode())
        finally:
            os._exit(0)
    os.close(writing)
    said = os.read(reading, 1000)
    os.close(reading)
    os.waitpid(child, 0)
    assert said == b"fine"
    assert backend.driver.is_alive
    assert name in {vm.name for vm in backend.driver.machines.list()}
