"""Pages of jobs: list, one job with its log, and the small menu of the latest."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from kvweb.jobs import selectors, services
from kvweb.jobs.looks import subject_address
from kvweb.jobs.models import ACTIVE, Job, JobState
from kvweb.jobs.standstill import look
from kvweb.ui.htmx import is_htmx, part_of_rows, target, toast
from kvweb.ui.parameters import whole_number

PAGE_SIZE = 50
MOST_ROWS = 200
#: A log is shown from its end; earlier lines are rarely read and can be long.
MOST_LINES = 1000

CHIPS = (
    ("", "All"),
    ("active", "Active"),
    (JobState.SUCCEEDED.value, "Done"),
    (JobState.FAILED.value, "Failed"),
    (JobState.ERRORED.value, "Unexpected errors"),
    (JobState.CANCELLED.value, "Cancelled"),
)


def user_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - every page here asks for a signed-in person
    return request.user


def _found(request: HttpRequest, uuid: UUID) -> Job:
    job = selectors.visible_to(user_of(request)).filter(uuid=uuid).first()
    if job is None:
        raise Http404("There is no such job.")
    return job


def may_cancel(user: User, job: Job) -> bool:
    """One's own job, or any of a project where the role allows it."""
    return job.is_active and (job.user_id == user.pk or allowed(user, "job.cancel", job))


def _rows(found: Any) -> list[dict[str, Any]]:
    return [{"job": job, "subject_address": subject_address(job)} for job in found]


def _asked(request: HttpRequest) -> tuple[str, str]:
    """State and words that the list was asked for."""
    state = request.GET.get("state", "")
    return state if state in dict(CHIPS) else "", request.GET.get("q", "").strip()[:200]


@require_GET
def job_list(request: HttpRequest) -> HttpResponse:
    """Newest first; those that are active stand before all others on the first page, however old they are."""
    state, text = _asked(request)
    found = selectors.for_list(user_of(request), state=state, text=text)
    active: list[Job] = []
    if not state:
        active = list(found.filter(state__in=ACTIVE)[:MOST_ROWS])
        found = found.exclude(state__in=ACTIVE)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    if is_htmx(request) and target(request) == "chips":
        return render(request, "jobs/_foot.html", {"page": page, "state": state})
    listed = [*(active if page.number == 1 else []), *page.object_list]
    context = {
        "page": page,
        "rows": _rows(listed),
        "chips": CHIPS,
        "state": state,
        "text": text,
        "is_filtered": bool(state or text),
    }
    if is_htmx(request) and target(request) == "results":
        return render(request, "jobs/_results.html", context)
    return render(request, "jobs/list.html", {**context, **standstill_context(user_of(request))})


def standstill_context(user: User) -> dict[str, Any]:
    """For the part that says when nobody works; who can do something about it is told why."""
    queue = look()
    knows_why = queue.is_still and allowed(user, "provider.view")
    return {"queue": queue, "knows_why": knows_why, "start_worker": settings.START_WORKER}


@require_GET
def standstill(request: HttpRequest) -> HttpResponse:
    """That part anew, for news, and every few seconds while a job waits."""
    return render(request, "jobs/_standstill.html", standstill_context(user_of(request)))


@require_GET
def rows(request: HttpRequest) -> HttpResponse:
    """Rows of these jobs, for news."""
    uuids = []
    for text in request.GET.get("ids", "").split(",")[:MOST_ROWS]:
        try:
            uuids.append(UUID(text))
        except ValueError:
            continue
    user, (state, text) = user_of(request), _asked(request)
    found = list(selectors.visible_to(user).filter(uuid__in=uuids))
    unfit: list[UUID] = []
    if state or text:
        fitting = selectors.for_list(user, state=state, text=text).filter(uuid__in=uuids)
        unfit = list({job.uuid for job in found} - set(fitting.order_by().values_list("uuid", flat=True)))
    return part_of_rows(render_to_string("jobs/_rows.html", {"rows": _rows(found)}), unfit)


@require_GET
def active(request: HttpRequest) -> JsonResponse:
    """How many are active, for the number beside the menu."""
    return JsonResponse({"active": count_active(user_of(request))})


def count_active(user: User) -> int:
    return selectors.for_list(user, state="active").select_related(None).order_by().count()


@require_GET
def activity(request: HttpRequest) -> HttpResponse:
    """The latest jobs of this person, for the menu in the top bar."""
    user = user_of(request)
    mine = list(selectors.for_list(user).filter(user=user)[:8])
    mine.sort(key=lambda job: not job.is_active)
    return render(request, "jobs/_activity.html", {"jobs": mine})


def _state_context(request: HttpRequest, job: Job) -> dict[str, Any]:
    return {
        "job": job,
        "subject_address": subject_address(job),
        "may_cancel": may_cancel(user_of(request), job),
        "again": _again(job),
    }


#: Jobs of these kinds are tried again by the button of their machine: kind → name of the action.
_AGAIN = {
    "vm.start": "start",
    "vm.stop": "stop",
    "vm.restart": "restart",
    "vm.pause": "pause",
    "vm.resume": "resume",
    "vm.delete": "delete",
    "vm.rename": "rename",
    "vm.attach_disk": "attach-disk",
    "vm.grow_disk": "grow-disk",
    "vm.move_disk": "move-disk",
    "vm.detach_disk": "detach-disk",
    "vm.add_nic": "add-nic",
    "vm.change_nic": "change-nic",
    "vm.remove_nic": "remove-nic",
    "vm.give_address": "give-address",
    "vm.take_address": "take-address",
    "vm.take_snapshot": "take-snapshot",
    "vm.revert_to_snapshot": "revert-to-snapshot",
    "vm.delete_snapshot": "delete-snapshot",
    "vm.resize": "resize",
    "vm.change_flavor": "change-flavor",
    "vm.set_options": "change-options",
    "vm.set_autostart": "set-autostart",
    "vm.apply_pending": "apply-pending",
    "vm.clone": "clone",
    "vm.export": "export",
    "vm.migrate": "migrate",
}
#: Of a job's parameters, those that fill the fields of its dialog again.
_AGAIN_WITH = (
    "disk",
    "nic",
    "snapshot",
    "name",
    "description",
    "size_gib",
    "target",
    "vcpus",
    "memory_mib",
    "flavor",
    "group",
)


def _again(job: Job) -> dict[str, str] | None:
    """How to try a failed job again: a button of its machine, or the form of its creation with the same values."""
    has_ended_badly = job.has_failed or job.state == JobState.CANCELLED
    if has_ended_badly and job.kind == "image.fetch":
        # One of the catalogue was not typed: it is chosen once more.
        return {"how": "form", "address": f"/images/add?from=url&again={job.uuid}" if job.form else "/images/add"}
    if not has_ended_badly or not job.subject.startswith("vm:"):
        return None
    if job.kind == "vm.create":
        return {"how": "form", "address": f"/vms/create?again={job.uuid}"} if job.form else None
    action = _AGAIN.get(job.kind)
    if action is None:
        return None
    if job.params.get("force"):
        action = {"stop": "force-stop", "restart": "reset"}.get(action, action)
    asks = action not in {"start", "pause", "resume"}
    said = {name: job.params[name] for name in _AGAIN_WITH if job.params.get(name) is not None}
    address = f"{subject_address(job)}{'ask' if asks else 'do'}/{action}{'?' + urlencode(said) if said else ''}"
    return {"how": "ask" if asks else "do", "address": address}


@require_GET
def detail(request: HttpRequest, uuid: UUID) -> HttpResponse:
    job = _found(request, uuid)
    lines = list(job.lines.order_by("-id")[:MOST_LINES])[::-1]
    return render(request, "jobs/detail.html", {**_state_context(request, job), "lines": lines})


@require_GET
def state(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Progress and end of one job anew, for news."""
    return render(request, "jobs/_state.html", _state_context(request, _found(request, uuid)))


@require_GET
def lines(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The lines of the log after one that the page has."""
    found = _found(request, uuid).lines.filter(pk__gt=whole_number(request.GET.get("after", ""), 0))
    return render(request, "jobs/_lines.html", {"lines": found[:MOST_LINES]})


@require_POST
def cancel(request: HttpRequest, uuid: UUID) -> HttpResponse:
    job = _found(request, uuid)
    if not may_cancel(user_of(request), job):
        reason = "It has ended already." if not job.is_active else "You may not cancel this job."
        if not is_htmx(request):
            messages.error(request, reason)
            return redirect("jobs:detail", uuid=uuid)
        response = render(
            request, "jobs/_state.html", _state_context(request, job), status=403 if job.is_active else 409
        )
        toast(response, reason, "warning")
        return response
    job = services.cancel(job)
    if not is_htmx(request):
        return redirect("jobs:detail", uuid=uuid)
    return render(request, "jobs/_state.html", _state_context(request, _found(request, uuid)))
