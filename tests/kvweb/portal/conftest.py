"""A Redis of the test's own, on a socket in a folder that goes with it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pytest_django import Settings

from kvweb.events import bus
from tools.trial.waiting import until


class PrivateRedis:
    """One redis-server; `end` is what a crash looks like from outside."""

    def __init__(self) -> None:
        # Not pytest's folder: its path is longer than a socket's name may be.
        self.folder = Path(tempfile.mkdtemp(prefix="kvweb-redis-", dir="/tmp"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._child = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no"],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        until(self._answers, timeout_s=10, said="The start of a private Redis", every_s=0.02)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def listeners(self) -> int:
        """How many streams listen for news now."""
        with redis.Redis.from_url(self.url) as client:
            channels: Any = client.pubsub_channels("*")
            listening: Any = client.pubsub_numsub(*channels) if channels else []
            patterns: Any = client.pubsub_numpat()
            return int(sum(count for _, count in listening) + patterns)

    def hold(self) -> None:
        """It is there, takes connections, and says nothing more: a machine that swaps, a network that swallows."""
        self._child.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.go_on()
        self._child.terminate()
        self._child.wait(timeout=10)

    def remove(self) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def private_redis(settings: Settings) -> Iterator[PrivateRedis]:
    """The Redis of this test, known to everything in this process."""
    server = PrivateRedis()
    settings.REDIS_URL = server.url
    bus._client.cache_clear()
    bus._rests_until = 0.0
    try:
        yield server
    finally:
        bus._rests_until = 0.0
        bus._client.cache_clear()
        server.remove()
