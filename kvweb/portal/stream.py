"""GET /events: what changed, as server-sent events, or as plain JSON where those cannot pass.

Only names travel ("vm:<uuid> changed"); the page then asks for the fragments that it shows, through the same selectors
as any page. So a burst of a thousand changes costs a page one request, and the stream knows nothing of rights beyond
the projects whose news it listens to.

    /events?list=vms,jobs                 everything of these sorts that the user may see
    /events?subjects=vm:<uuid>,job:<uuid> only these
    …&at=<unix time of the page>          first what happened since the page was rendered
    …&since=<event id>                    the same from an event on; as JSON with `Accept: application/json`
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis.asyncio as aioredis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from kvweb.accounts.access import roles_of
from kvweb.accounts.models import User
from kvweb.events.models import Event
from kvweb.events.services import CHANNEL, EVERYBODY
from kvweb.ui.parameters import whole_number

logger = logging.getLogger(__name__)

SORTS = {"vms": "vm:", "jobs": "job:", "providers": "provider:"}
SORTS |= {"consoles": "console:"}
SORTS |= {"pools": "pool:", "volumes": "volume:", "networks": "network:", "images": "image:"}
HEARTBEAT_S = 15.0
#: Redis answers in a millisecond; one that is silent for so long has stopped, and its news would not come.
SILENCE_S = 3.0
#: Ids are given before commit, so an event with a smaller id may appear after a larger one: look back a little. Hearing
#: of a change twice is harmless.
LOOK_BACK = 20
MOST = 500

Wanted = Callable[[str], bool]


def _wanted(request: HttpRequest) -> Wanted:
    subjects = frozenset(filter(None, request.GET.get("subjects", "").split(",")))
    prefixes = tuple(SORTS[name] for name in request.GET.get("list", "").split(",") if name in SORTS)
    if not subjects and not prefixes:
        return lambda subject: True
    return lambda subject: subject in subjects or subject.startswith(prefixes)


def _visible_events(user: User) -> QuerySet[Event]:
    if user.is_superuser:
        return Event.objects.all()
    return Event.objects.filter(Q(project_id__in=list(roles_of(user))) | Q(is_shared=True))


def _missed(user: User, since: str, at: str) -> list[dict[str, Any]]:
    """What happened since an event id or a moment; empty when neither is given or it cannot be read."""
    events = _visible_events(user)
    last = whole_number(since, -1)
    if last >= 0:
        recently = Q(pk__gt=last - LOOK_BACK, at__gt=timezone.now() - timedelta(minutes=2))
        events = events.filter(Q(pk__gt=last) | recently)
    else:
        try:
            events = events.filter(at__gte=datetime.fromtimestamp(float(at) - 0.5, tz=UTC))
        except (ValueError, OverflowError, OSError):
            return []
    latest = list(events.order_by("-pk").values("id", "subject", "topic")[:MOST])
    return [dict(row) for row in reversed(latest)]


_newest_known = (0.0, 0)


async def _newest() -> int:
    """The newest event's id as it was a moment ago; asked now and then for all open pages of this process together."""
    global _newest_known  # noqa: PLW0603 - a process-wide memory is what is meant
    asked_at, newest = _newest_known
    if time.monotonic() - asked_at > HEARTBEAT_S / 3:
        newest = await Event.objects.order_by("-pk").values_list("pk", flat=True).afirst() or 0
        _newest_known = (time.monotonic(), newest)
    return newest


def _channels(user: User) -> list[str]:
    return [CHANNEL.format(project=project) for project in (EVERYBODY, *roles_of(user))]


# Not the sign-in page: a script asks here, which would take that page's 200 for an answer.
@login_not_required
@require_safe
async def events(request: HttpRequest) -> HttpResponseBase:
    """The stream for a browser that takes one, otherwise one answer with what happened since."""
    user = await request.auser()
    if not isinstance(user, User):
        return JsonResponse({"title": "Sign in first."}, status=401)
    since = request.headers.get("Last-Event-ID") or request.GET.get("since", "")
    at = request.GET.get("at", "")
    wanted = _wanted(request)
    if "text/event-stream" not in request.headers.get("Accept", ""):
        rows = await sync_to_async(_missed)(user, since or ("" if at else "0"), at)
        return JsonResponse(
            {"events": [row for row in rows if wanted(row["subject"])], "last": rows[-1]["id"] if rows else since}
        )
    channels = await sync_to_async(_channels)(user)
    response = StreamingHttpResponse(
        _stream(user, channels, wanted, since, at), content_type="text/event-stream; charset=utf-8"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _message(row: dict[str, Any]) -> str:
    return f"id: {row['id']}\ndata: {json.dumps(row)}\n\n"


async def _stream(user: User, channels: list[str], wanted: Wanted, since: str, at: str) -> AsyncIterator[str]:
    """Subscribe first, then tell what was missed, then what comes: nothing falls between."""
    ends_at = time.monotonic() + settings.STREAM_LIFE_S
    client = aioredis.from_url(settings.REDIS_URL, socket_connect_timeout=1.0)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    told: deque[int] = deque(maxlen=MOST)
    try:
        # A Redis that is silent takes the connection and says nothing more.
        async with asyncio.timeout(SILENCE_S):
            if user.is_superuser:
                await pubsub.psubscribe(CHANNEL.format(project="*"))
            else:
                await pubsub.subscribe(*channels)
        yield "retry: 1500\n: hello\n\n"
        seen = await _newest()
        for row in await sync_to_async(_missed)(user, since, at):
            if wanted(row["subject"]):
                told.append(row["id"])
                yield _message(row)
        while time.monotonic() < ends_at:
            message = await pubsub.get_message(timeout=HEARTBEAT_S)
            if message is None:
                yield ": still here\n\n"
                # Nothing happened, or Redis lost it: rows tell which.
                if (newest := await _newest()) > seen:
                    for row in await sync_to_async(_missed)(user, str(seen), ""):
                        if row["id"] not in told and wanted(row["subject"]):
                            told.append(row["id"])
                            yield _message(row)
                    seen = newest
                continue
            row = json.loads(message["data"])
            if wanted(row["subject"]):
                told.append(row["id"])
                yield _message(row)
    except (aioredis.RedisError, OSError) as exc:
        # The browser comes back by itself and catches up from the rows.
        logger.warning("The event stream ended: %s", exc)
    finally:
        await pubsub.aclose()  # type: ignore[no-untyped-call]
        await client.aclose()
