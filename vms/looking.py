"""Who looks at which machines: a page whose content is fetched only while somebody looks says so now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from uuid import UUID

import redis

from kvweb.events.bus import line
from vms.models import VirtualMachine

logger = logging.getLogger(__name__)

#: A page that has not asked for so long is not looked at any more.
LOOK_S = 35


def _key(what: str, provider: UUID) -> str:
    return f"{what}:{provider}"


def look(what: str, vms: Iterable[VirtualMachine]) -> None:
    """Somebody looks at this of these machines. Without Redis nobody hears it, and nothing new is fetched."""
    until = time.time() + LOOK_S
    try:
        with line() as client:
            pipe = client.pipeline(transaction=False)
            for vm in vms:
                key = _key(what, vm.provider.uuid)
                pipe.zadd(key, {vm.uuid.hex: until})
                pipe.expire(key, LOOK_S * 4)
            pipe.execute()
    except redis.RedisError as exc:
        logger.info("That somebody looks at %s could not be told: %s", what, exc)


def looked_at(what: str, provider: UUID) -> set[UUID]:
    """Machines of this provider that somebody looks at; none when Redis does not answer."""
    try:
        with line() as client:
            pipe = client.pipeline(transaction=False)
            pipe.zremrangebyscore(_key(what, provider), "-inf", time.time())
            pipe.zrange(_key(what, provider), 0, -1)
            _, names = pipe.execute()
    except redis.RedisError:
        return set()
    return {UUID(name.decode()) for name in names}
