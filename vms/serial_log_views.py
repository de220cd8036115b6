"""What a machine's serial line said: read, searched, downloaded by those who may open it themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.text import get_valid_filename
from django.views.decorators.http import require_GET

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from kvweb.audit.services import record
from kvweb.jobs.models import Job
from kvweb.ui.htmx import is_htmx, target
from providers.base import ConsoleKind
from vms import looks
from vms.console import kept_output, serial_log
from vms.console.serial_log import Line
from vms.models import VirtualMachine
from vms.view_parts import found_vm, user_of

#: Of what was found the newest are shown; the file has all.
MOST_LINES = 500
MARK_WORDS = {
    serial_log.STARTED: "The machine started",
    serial_log.RESTARTED: "The guest restarted",
    serial_log.ENDED: "The line ended: the machine was switched off, or its provider went away",
    serial_log.UNHEARD: "Nobody listened from here on",
    serial_log.LISTENING: "Listening again",
}


@dataclass(frozen=True, slots=True)
class Shown:
    number: int
    text: str
    at: datetime | None
    mark: str
    #: A mark about who listened, not about the machine.
    is_quiet: bool


def _asked_for(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    """Who may not open the console may not read what it said either."""
    vm = found_vm(request, uuid)
    if not allowed(user_of(request), "vm.console", vm):
        raise PermissionDenied("Your role in this project may not read what consoles showed.")
    return vm


def _shown(line: Line) -> Shown:
    at = datetime.fromtimestamp(line.at, UTC) if line.at is not None else None
    is_quiet = line.mark in {serial_log.UNHEARD, serial_log.LISTENING}
    return Shown(line.number, line.text, at, MARK_WORDS.get(line.mark, line.mark), is_quiet)


def _timed_once(lines: Iterable[Shown]) -> list[Shown]:
    """Lines of one moment say when only once."""
    shown: list[Shown] = []
    last: datetime | None = None
    for line in lines:
        is_same = line.at == last and not line.mark
        last = line.at
        shown.append(replace(line, at=None) if is_same else line)
    return shown


@require_GET
def page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = _asked_for(request, uuid)
    text = request.GET.get("q", "").strip()[:200]
    wanted = text.casefold()
    found = 0
    newest: deque[Line] = deque(maxlen=MOST_LINES)
    for line in serial_log.lines(vm.uuid):
        if not wanted or wanted in line.text.casefold():
            found += 1
            newest.append(line)
    context = {
        "vm": vm,
        "lines": _timed_once(map(_shown, newest)),
        "found": found,
        "left_out": found - len(newest),
        "text": text,
        "size_kib": (serial_log.size_of(vm.uuid) + 1023) // 1024,
        "acts": looks.buttons_of(vm, user_of(request), "console"),
        "has_log": vm.has_console(ConsoleKind.SERIAL) or serial_log.size_of(vm.uuid) > 0,
        **_output_context(vm, user_of(request)),
    }
    part = is_htmx(request) and target(request) == "results"
    return render(request, "consoles/_serial_log.html" if part else "consoles/serial_log.html", context)


def _output_context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """What the provider keeps itself; without its button where the provider keeps nothing."""
    act = looks.buttons_of(vm, user, "output").get("read_output")
    if act is None:
        return {}
    found = kept_output.kept(vm.uuid)
    lines = found.lines if found else []
    last = Job.objects.filter(subject=vm.subject, kind="vm.read_output").order_by("-id").first()
    return {
        "output_act": replace(act, label="Read again") if found else act,
        "output": found,
        "output_lines": lines[-MOST_LINES:],
        "output_left_out": max(0, len(lines) - MOST_LINES),
        "output_problem": last.reason if last is not None and last.has_failed else "",
    }


@require_GET
def output(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The part of the page with what the provider keeps, as it is now."""
    vm = _asked_for(request, uuid)
    return render(request, "consoles/_output.html", {"vm": vm, **_output_context(vm, user_of(request))})


@require_GET
def download(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """The whole log as plain text, with a line where the machine started. Reading it is audited."""
    vm = _asked_for(request, uuid)
    record(
        "vm.serial_log.downloaded",
        subject=vm.subject,
        subject_name=vm.name,
        actor=user_of(request),
        project_id=vm.project_id,
    )
    name = get_valid_filename(f"{vm.name or 'machine'}-serial.log")
    return StreamingHttpResponse(
        _text(vm),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
    )


def _text(vm: VirtualMachine) -> Iterator[str]:
    for line in map(_shown, serial_log.lines(vm.uuid)):
        at = f"{line.at:%Y-%m-%d %H:%M:%S}" if line.at else " " * 19
        yield f"{at}  {f'--- {line.mark} ---' if line.mark else line.text}\n"
