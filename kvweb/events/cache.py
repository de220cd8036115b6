"""The cache: shared in Redis, and each process's own while Redis is away, so that signing in never depends on it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

from kvweb.events import bus

logger = logging.getLogger(__name__)


class SteadyCache(BaseCache):
    """Django's cache in Redis. When it falls back, counts of attempts begin anew and each process counts for itself."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._shared = RedisCache(server, params)
        self._own = LocMemCache("kvweb", {key: value for key, value in params.items() if key != "OPTIONS"})

    def _do(self, name: str, *args: Any, **options: Any) -> Any:
        ask: Callable[..., Any] = functools.partial(getattr(self._shared, name), *args, **options)
        if not bus.is_resting():
            try:
                return ask()
            except redis.TimeoutError:
                bus.rest()
                logger.warning("Redis does not answer; the cache is this process's own meanwhile.")
            except redis.ConnectionError as exc:
                logger.warning("Redis is away (%s); the cache is this process's own meanwhile.", exc)
        return getattr(self._own, name)(*args, **options)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._do("add", key, value, timeout, version=version))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._do("get", key, default, version=version)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._do("set", key, value, timeout, version=version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._do("touch", key, timeout, version=version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self._do("delete", key, version=version))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return bool(self._do("has_key", key, version=version))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(self._do("incr", key, delta, version=version))

    def clear(self) -> None:
        self._do("clear")
