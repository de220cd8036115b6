"""The process's one Redis client for news; short time-outs, since nobody's click may wait for Redis."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from django.conf import settings

#: One that did not answer is left alone for so long: a click tells several things, and would wait for each of them.
REST_S = 2.0

_rests_until = 0.0


def redis_client() -> redis.Redis:
    """A client of this process; a forked worker gets its own."""
    return _client(os.getpid())


@functools.lru_cache(maxsize=2)
def _client(pid: int) -> redis.Redis:
    del pid
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5)


@contextmanager
def line() -> Iterator[redis.Redis]:
    """The client for what a click waits for. Raises redis.RedisError at once when Redis was silent a moment ago."""
    if is_resting():
        raise redis.ConnectionError("Redis did not answer a moment ago.")
    try:
        yield redis_client()
    except redis.TimeoutError:
        rest()
        raise


def rest() -> None:
    """Redis was asked and is silent: who refuses costs no time, who is silent costs all that one waits."""
    global _rests_until  # noqa: PLW0603 - a process-wide memory is what is meant
    _rests_until = time.monotonic() + REST_S


def is_resting() -> bool:
    return time.monotonic() < _rests_until
