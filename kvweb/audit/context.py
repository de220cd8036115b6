"""Who is acting at the moment and from where: set by the middleware for a request, by the worker for a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest
from django.http.response import HttpResponseBase


@dataclass(frozen=True, slots=True)
class Acting:
    user_id: int | None = None
    user_name: str = ""
    address: str | None = None


_acting: ContextVar[Acting | None] = ContextVar("kvweb_acting", default=None)


def acting() -> Acting:
    return _acting.get() or Acting()


@contextmanager
def acting_as(who: Acting) -> Iterator[None]:
    token = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(token)


def address_of(request: HttpRequest) -> str | None:
    """The browser's address: the last hop that our own nginx added, never what a client wrote before it."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    last = forwarded.rsplit(",", 1)[-1].strip()
    return last or request.META.get("REMOTE_ADDR") or None


class Actor:
    """Middleware: says who acts, for requests that may change something.

    It is synchronous on purpose and stands last: then Django runs the whole chain in one thread instead of changing
    threads around every middleware.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return self.get_response(request)
        user = request.user
        name = user.get_username() if user.pk else ""
        with acting_as(Acting(user.pk, name, address_of(request))):
            return self.get_response(request)
