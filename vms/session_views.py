"""Open consoles: who is where, since when and from where; closing one; and what was open before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import Person, allowed_somewhere
from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import User
from kvweb.ui.htmx import is_htmx, target, toast
from vms.console.session_selectors import FILTERS, for_list, visible_to
from vms.models import ConsoleSession
from vms.session_actions import CLOSE, CLOSE_OWN
from vms.session_looks import LABELS
from vms.view_parts import MOST_ROWS, shows_projects, user_of, valid_uuids

PAGE_SIZE = 50
CHIPS = (("open", "Open"), ("ended", "Closed"))


@dataclass(frozen=True, slots=True)
class Row:
    """One console as a row shows it."""

    session: ConsoleSession
    label: str
    may_close: bool


def _action(session: ConsoleSession, user: Person) -> Any:
    return CLOSE_OWN if isinstance(user, User) and session.user_id == user.pk else CLOSE


def _row(session: ConsoleSession, user: Person) -> Row:
    return Row(session, LABELS.get(session.kind, session.kind), _action(session, user).check(session, user).is_allowed)


@require_GET
def console_list(request: HttpRequest) -> HttpResponse:
    """Newest first. Everybody sees their own; who manages a project, those at its machines."""
    user = user_of(request)
    state = request.GET.get("state", "")
    state = state if state in FILTERS else "open"
    text = request.GET.get("q", "").strip()[:200]
    page = Paginator(for_list(user, state=state, text=text), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [_row(session, user) for session in page.object_list],
        "chips": CHIPS,
        "state": state,
        "text": text,
        "with_project": shows_projects(user),
        "sees_others": allowed_somewhere(user, "console.manage"),
    }
    part = is_htmx(request) and target(request) == "results"
    return render(request, "consoles/_results.html" if part else "consoles/list.html", context)


@require_GET
def rows(request: HttpRequest) -> HttpResponse:
    """Rows of these consoles, for news."""
    user = user_of(request)
    uuids = valid_uuids(request.GET.get("ids", "").split(",")[:MOST_ROWS])
    found = visible_to(user).filter(uuid__in=uuids)
    context = {"rows": [_row(session, user) for session in found], "with_project": shows_projects(user)}
    return render(request, "consoles/_rows.html", context)


@require_POST
def close(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Take a console away from who has it."""
    user = user_of(request)
    session = visible_to(user).filter(uuid=uuid).first()
    if session is None:
        raise Http404("There is no such console.")
    refusal = ""
    status = 200
    try:
        _action(session, user).perform(session, user)
    except ActionRefused as refused:
        refusal, status = refused.reason, 403 if refused.forbidden else 409
    said = refusal or f"The console of {session.who} at “{session.vm.name}” is being closed."
    if not is_htmx(request):
        (messages.error if refusal else messages.success)(request, said)
        return redirect("consoles:list")
    row = _row(visible_to(user).get(uuid=uuid), user)
    context = {"row": row, "with_project": shows_projects(user)}
    response = render(request, "consoles/_row.html", context, status=status)
    toast(response, said, "warning" if refusal else "success")
    return response
