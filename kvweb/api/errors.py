"""Exceptions → application/problem+json, one table."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from kvweb.accounts.actions import ActionRefused


def problem(status_code: int, title: str, *, code: str = "", fields: dict[str, Any] | None = None) -> Response:
    """A problem document: `title` is a sentence for people, `code` a word for programs, `fields` says where."""
    body: dict[str, Any] = {"type": "about:blank", "status": status_code, "title": title}
    if code:
        body["code"] = code
    if fields:
        body["fields"] = fields
    return Response(body, status=status_code, content_type="application/problem+json")


def problem_response(exc: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's hook; None lets an unexpected error become a 500."""
    match exc:
        case ActionRefused():
            code = status.HTTP_403_FORBIDDEN if exc.forbidden else status.HTTP_409_CONFLICT
            return problem(code, exc.reason, code="forbidden" if exc.forbidden else "conflict")
        case Http404():
            return problem(status.HTTP_404_NOT_FOUND, "There is nothing here that you may see.", code="not_found")
        case exceptions.ValidationError():
            fields = exc.detail if isinstance(exc.detail, dict) else {"": exc.detail}
            return problem(400, "Some values are not accepted.", code="invalid", fields=dict(fields))
    response = exception_handler(exc, context)
    if response is None:
        return None
    detail = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    answer = problem(response.status_code, str(detail) or "The request was refused.")
    for name, value in response.headers.items():
        if name.lower() not in {"content-type", "content-length"}:
            answer.headers[name] = value
    return answer
