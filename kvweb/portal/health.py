"""/health: the process answers. /ready: database and broker answer too."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from kvweb.events.bus import redis_client


@login_not_required
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    del request
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """503 with the name of what does not answer; no details, the page is open to all."""
    del request
    failing = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception:
        failing.append("database")
    try:
        redis_client().ping()
    except Exception:
        failing.append("redis")
    return JsonResponse({"status": "failing" if failing else "ok", "failing": failing}, status=503 if failing else 200)
