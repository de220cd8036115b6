"""Whole page or part of it, and the news that an answer carries for the page's toasts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.safestring import SafeString

Level = Literal["success", "info", "warning", "error"]


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx asks (for a part), as opposed to the browser (for a page)."""
    return request.headers.get("HX-Request") == "true"


def target(request: HttpRequest) -> str:
    """The id of the element that the answer will replace."""
    return request.headers.get("HX-Target", "")


def part_of_list(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """A list page or a part of it at the same address; caches are told what tells them apart."""
    response = render(request, template, context)
    response.headers["Vary"] = "HX-Request, HX-Target"
    return response


def part_of_rows(rows: SafeString, unfit: Iterable[UUID] = ()) -> HttpResponse:
    """Rows for a list that is open; `unfit` are those that its filter leaves out now."""
    response = HttpResponse(rows)
    if left_out := ",".join(map(str, unfit)):
        response.headers["X-Unfit"] = left_out
    return response


def trigger(response: HttpResponseBase, **events: Any) -> None:
    """Tell the page's modules something, after the part was put in place."""
    told: dict[str, Any] = json.loads(response.headers.get("HX-Trigger", "{}"))
    told.update(events)
    response.headers["HX-Trigger"] = json.dumps(told)


def toast(response: HttpResponseBase, text: str, level: Level = "success", details: list[str] | None = None) -> None:
    """A sentence at the corner of the page, with more below it on demand."""
    trigger(response, toast={"text": text, "level": level, "details": details or []})
