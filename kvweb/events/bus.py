"""The process's one Redis client for news; short time-outs, since nobody's click may wait for Redis."""

from __future__ import annotations

import functools
import os

import redis
from django.conf import settings


def redis_client() -> redis.Redis:
    """A client of this process; a forked worker gets its own."""
    return _client(os.getpid())


@functools.lru_cache(maxsize=2)
def _client(pid: int) -> redis.Redis:
    del pid
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5)
