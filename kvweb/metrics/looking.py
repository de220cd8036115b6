"""Who is looking: a page that shows what a provider's VMs use says so now and then, and measuring goes faster."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import redis

from kvweb.events.bus import line

logger = logging.getLogger(__name__)

#: A page that has not asked for so long is not looked at any more; pages ask every ten seconds.
LOOK_S = 45


def _key(provider: object) -> str:
    return f"metrics:look:{provider}"


def look(providers: Iterable[object]) -> None:
    """Somebody looks at metrics of these providers (uuids). Without Redis nobody hears it, and the page still works."""
    try:
        with line() as client:
            pipe = client.pipeline(transaction=False)
            for provider in providers:
                pipe.set(_key(provider), 1, ex=LOOK_S)
            pipe.execute()
    except redis.RedisError as exc:
        logger.info("That somebody looks at metrics could not be told: %s", exc)


def looked_at(providers: Sequence[object]) -> set[object]:
    """Those of these providers that somebody looks at now; none when Redis does not answer."""
    if not providers:
        return set()
    try:
        with line() as client:
            found = client.mget([_key(provider) for provider in providers])
    except redis.RedisError:
        return set()
    return {provider for provider, value in zip(providers, found, strict=True) if value}
