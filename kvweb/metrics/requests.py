"""Counting requests of all web processes together, for /metrics.

Each process counts in small files of its own, mapped into memory, and whoever is asked adds them all up: that is what
the client library of Prometheus offers for servers of several processes. Counting costs a few microseconds a request.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import CollectorRegistry, Counter, Histogram, values

#: Answers of a page take tens of milliseconds; a second is a complaint.
_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
#: Files of processes that ended longer ago go when a new process begins to count.
_FORGET_AFTER_S = 86_400.0


@dataclass(frozen=True)
class Counting:
    """What a process counts with, and the folder in which all processes do."""

    folder: Path
    requests: Any
    seconds: Any


@functools.cache
def counting() -> Counting:
    """Made at the first request of a process, which is then the one that the numbers in the files are of."""
    folder = Path(settings.KVWEB_HOME) / "run" / "requests"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _forget_old(folder)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    # The library chooses how it counts when it is loaded, which may have been before the variable was there.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    one = CollectorRegistry()
    labels = ("route", "method", "status")
    requests = Counter("kvweb_requests", "Requests answered, by route.", labels, registry=one)
    seconds = Histogram(
        "kvweb_request_seconds", "Time until an answer began.", ("method",), registry=one, buckets=_BUCKETS_S
    )
    return Counting(folder, requests, seconds)


def _forget_old(place: Path) -> None:
    for file in place.glob("*_*.db"):
        pid = file.stem.rpartition("_")[2]
        is_old = time.time() - file.stat().st_mtime > _FORGET_AFTER_S
        if is_old and not (pid.isdigit() and Path(f"/proc/{pid}").exists()):
            file.unlink(missing_ok=True)


class CountRequests:
    """Outermost of the middleware, so that its time is all of the time."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._later(request)
        began = time.perf_counter()
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - for the type checker
        return _counted(request, response, time.perf_counter() - began)

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self.get_response(request)
        assert isinstance(response, Awaitable)  # noqa: S101
        return _counted(request, await response, time.perf_counter() - began)


def _counted(request: HttpRequest, response: HttpResponseBase, took_s: float) -> HttpResponseBase:
    # The name of the route and not the address: addresses name machines, and there is no end of them.
    match = request.resolver_match
    route = match.view_name if match else "none"
    method = request.method if request.method in {"GET", "HEAD", "POST"} else "other"
    count = counting()
    count.requests.labels(route, method, str(response.status_code)).inc()
    count.seconds.labels(method).observe(took_s)
    return response
