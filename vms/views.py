"""Pages of machines: list, rows, one machine, and the buttons."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import allowed, allowed_somewhere, roles_of, within
from kvweb.accounts.actions import ActionForm, ActionRefused
from kvweb.accounts.models import User
from kvweb.accounts.services import UNASSIGNED_NAME
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from kvweb.ui.htmx import is_htmx, target, toast, trigger
from kvweb.ui.words import number_words
from vms import listing, looks, services, tabs
from vms import rows as rendered
from vms.actions import ACTIONS
from vms.choices import Presence
from vms.conditions import VmAction
from vms.models import VirtualMachine
from vms.selectors import STATES, Filters, visible_to, with_jobs

#: More rows than a page has are not asked for at once.
MOST_ROWS = 200
#: Nor are more machines changed at once.
MOST_AT_ONCE = 500
#: Names and reasons travel in a header, which has its limits; open pages hear of the rest by their stream.
MOST_TOLD = 20
LONGEST_DESCRIPTION = 4000
#: How long a dialog's answer waits for its job's end; its button turns meanwhile.
DIALOG_WAIT_S = 0.7


def user_of(request: HttpRequest) -> User:
    """The person themselves: `request.user` looks up every attribute through a wrapper, hundreds of times a list."""
    # Every page here asks for a signed-in person; the question also opens the wrapper.
    assert request.user.is_authenticated  # noqa: S101
    user = getattr(request.user, "_wrapped", request.user)
    assert isinstance(user, User)  # noqa: S101
    return user


def _found(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    """The machine with its active job; 404 for one that does not exist and for a stranger's alike."""
    vms = with_jobs(visible_to(user_of(request)).select_related("image", "created_by").filter(uuid=uuid))
    if not vms:
        raise Http404("There is no such machine.")
    return vms[0]


def _number(text: str, default: int) -> int:
    return int(text) if text.isdigit() and len(text) < 9 else default


# -- the list ----------------------------------------------------------------------------------------------------------


def _create_address() -> str:
    try:
        return reverse("vms:create")
    except NoReverseMatch:
        return ""


@require_GET
def vm_list(request: HttpRequest) -> HttpResponse:
    """The list; htmx gets the part below the search field."""
    user = user_of(request)
    query = request.GET
    page = listing.page(
        user,
        listing.filters_from(query),
        number=_number(query.get("page", ""), 1),
        size=_number(query.get("per", ""), 50),
    )
    several_projects = _shows_projects(user)
    chips = [
        {"state": state, "label": label, "count": page.counts[state], "is_alarm": state in {"problem", "unreachable"}}
        for state, label in [("", "All"), *((state, label) for state, (label, _) in STATES.items())]
        if page.counts[state] or state in {"", "running", "off", page.filters.state}
    ]
    context = {
        "page": page,
        "rows": rendered.rows(page.vms, user, with_project=several_projects),
        "chips": chips,
        "columns": _columns(page.filters.sort, several_projects=several_projects),
        "several_projects": several_projects,
        "several_providers": page.known_providers > 1 or bool(page.filters.provider or page.filters.text),
        "sizes": listing.PAGE_SIZES,
        "bulk_actions": [
            action for action in ACTIONS.values() if action.in_bulk and allowed_somewhere(user, action.verb)
        ],
        "matching": _matching(page.filters),
        "found": _found_words(user, page),
        "most_at_once": MOST_AT_ONCE,
        "create_address": _create_address(),
        "may_create": allowed_somewhere(user, "vm.create"),
    }
    request.active_jobs = page.active_jobs  # type: ignore[attr-defined]
    template = "vms/_results.html" if is_htmx(request) and target(request) == "results" else "vms/list.html"
    response = render(request, template, context)
    response.headers["Vary"] = "HX-Request, HX-Target"
    return response


def _found_words(user: User, page: listing.Page) -> dict[str, Any] | None:
    """What an administrator is told of machines that were found and belong to nobody; the page's counts know them."""
    if not allowed(user, "vm.assign"):
        return None
    count = page.projects.get(UNASSIGNED_NAME, 0)
    is_shown = page.filters.project == UNASSIGNED_NAME
    if not count or (page.is_filtered and not is_shown):
        return None
    return {"words": number_words(count, "machine"), "count": count, "is_shown": is_shown, "project": UNASSIGNED_NAME}


def _matching(filters: Filters) -> str:
    """The filters as the bulk bar sends them, when all that match are chosen and not some by their boxes."""
    named = {"q": filters.text, "state": filters.state, "provider": filters.provider, "project": filters.project}
    return urlencode({name: value for name, value in named.items() if value})


#: Head of the table: label, sort order, and the class of its cells.
COLUMNS = (
    ("Name", "name", ""),
    ("State", "state", ""),
    ("Address", "", ""),
    ("CPU", "cpu", "number"),
    ("Memory", "memory", "number"),
    ("Disk", "", "number wide-only rare"),
    ("Provider", "provider", ""),
    ("Project", "project", "wide-only"),
    ("Created", "created", "wide-only rare"),
)


def _columns(sorted_by: str, *, several_projects: bool) -> list[dict[str, str]]:
    """The columns with what a press on their heads leads to: ascending first, then the other way round."""
    found = []
    for label, sort, css in COLUMNS:
        if sort == "project" and not several_projects:
            continue
        order = {sort: "ascending", f"-{sort}": "descending"}.get(sorted_by, "") if sort else ""
        found.append(
            {
                "label": label,
                "sort": sort,
                "css": css,
                "order": order,
                "next": f"-{sort}" if order == "ascending" else sort,
                "icon": {"ascending": "arrow-up", "descending": "arrow-down"}.get(order, "arrows-sort"),
            }
        )
    return found


@require_GET
def rows(request: HttpRequest) -> HttpResponse:
    """Rows of these machines, for news; those that are gone are simply not among them."""
    user = user_of(request)
    uuids = []
    for text in request.GET.get("ids", "").split(",")[:MOST_ROWS]:
        try:
            uuids.append(UUID(text))
        except ValueError:
            continue
    return HttpResponse(rendered.rows(listing.some(user, uuids), user, with_project=_shows_projects(user)))


def _shows_projects(user: User) -> bool:
    """Whether lists have the column of projects: a person of one project needs none."""
    return user.is_superuser or len(roles_of(user)) > 1


@require_GET
def menu(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What may be done to one machine, fetched when its menu is opened."""
    vm = _found(request, uuid)
    user = user_of(request)
    consoles = looks.console_links(vm, user) if vm.is_running or vm.is_paused else []
    return render(request, "vms/_menu.html", {"vm": vm, "buttons": looks.buttons(vm, user), "consoles": consoles})


# -- buttons -----------------------------------------------------------------------------------------------------------


def _action(name: str) -> VmAction:
    try:
        return ACTIONS[name]
    except KeyError:
        raise Http404("There is no such action.") from None


@require_GET
def ask(request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
    """The question before an action: in a dialog, or as a page of its own where there are no scripts."""
    vm, chosen = _found(request, uuid), _action(action)
    return _question(request, vm, chosen, _form(request, vm, chosen))


def _form(request: HttpRequest, vm: VirtualMachine, action: VmAction) -> ActionForm | None:
    """The action's form: filled in by the link's parameters, or by what was sent."""
    if action.form is None:
        return None
    user = user_of(request)
    if request.method == "POST":
        return action.form(vm, user, request.POST)
    return action.form(vm, user, typed=request.GET.dict())


def _question(
    request: HttpRequest, vm: VirtualMachine, action: VmAction, form: ActionForm | None, status: int = 200
) -> HttpResponse:
    check = action.check(vm, user_of(request))
    reason = "You may not do this here." if check.is_hidden else check.reason
    context = {
        "vm": vm,
        "action": action,
        "form": form,
        "title": (form.title if form else "") or _title(vm, action),
        "question": (form.question if form else "") or action.question.format(name=vm.name),
        "address": reverse("vms:do", args=[vm.uuid, action.name]),
        "back": _back(vm, action),
        "reason": reason or (form.reason if form else ""),
        "is_dialog": is_htmx(request),
    }
    template = "vms/_ask.html" if is_htmx(request) else "vms/ask.html"
    return render(request, template, context, status=status)


def _title(vm: VirtualMachine, action: VmAction) -> str:
    if action.title:
        return action.title.format(name=vm.name)
    return f"{action.label} “{vm.name}”" if action.form and action.confirm == "none" else f"{action.label} “{vm.name}”?"


def _back(vm: VirtualMachine, action: VmAction) -> str:
    """The page that offers the action: the machine's first, or the tab that it belongs to."""
    if action.place in tabs.TABS:
        return reverse(f"vms:{action.place}", args=[vm.uuid])
    return reverse("vms:detail", args=[vm.uuid])


def _is_confirmed(request: HttpRequest, action: VmAction, vm: VirtualMachine) -> bool:
    if action.confirm == "type":
        return request.POST.get("typed", "").strip() == vm.name
    return action.confirm == "none" or bool(request.POST.get("confirmed"))


def _as_it_is_now(request: HttpRequest, uuid: UUID, status: int = 200) -> HttpResponse:
    """The part of the page that shows this machine: its row or its header; empty when it is gone."""
    user = user_of(request)
    if target(request).startswith("header-"):
        vms = with_jobs(visible_to(user).select_related("image", "created_by").filter(uuid=uuid))
        if not vms:
            response = HttpResponse(status=200)
            response.headers["HX-Redirect"] = reverse("vms:list")
            return response
        return render(request, "vms/_header.html", _header_context(request, vms[0]), status=status)
    row = rendered.rows(listing.some(user, [uuid]), user, with_project=_shows_projects(user))
    return HttpResponse(row, status=status)


@require_POST
def do(request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
    """Do it, wait a moment for its end, and answer with the machine as it is then."""
    vm, chosen = _found(request, uuid), _action(action)
    if not _is_confirmed(request, chosen, vm):
        if is_htmx(request):
            response = _as_it_is_now(request, uuid, status=409)
            toast(response, f"Nothing was done: type “{vm.name}” exactly to confirm.", "warning")
            return response
        return redirect("vms:ask", uuid=vm.uuid, action=chosen.name)
    form = _form(request, vm, chosen)
    if form is not None and chosen.check(vm, user_of(request)).is_allowed and not form.is_valid():
        return _question(request, vm, chosen, form, status=422)
    try:
        # A form that was not asked belongs to an action that refuses anyway.
        options = form.cleaned_data if form is not None and form.is_bound and hasattr(form, "cleaned_data") else {}
        outcome = chosen.perform(vm, user_of(request), **options)
    except ActionRefused as refusal:
        return _refused(request, vm, refusal)
    job = jobs.wait(outcome, _patience(form)) if isinstance(outcome, Job) else None
    if form is not None and chosen.confirm == "none":
        return _after_form(request, vm, chosen, form, job)
    if not is_htmx(request):
        _tell(request, vm, chosen, job)
        is_there = visible_to(user_of(request)).filter(uuid=uuid).exists()
        return redirect("vms:detail", uuid=uuid) if is_there else redirect("vms:list")
    if target(request).startswith("header-") and not visible_to(user_of(request)).filter(uuid=uuid).exists():
        _tell(request, vm, chosen, job)
    response = _as_it_is_now(request, uuid)
    if job is not None and job.has_failed:
        toast(response, f"{chosen.label} “{vm.name}”: {job.reason}", "error")
    return response


def _patience(form: ActionForm | None) -> float | None:
    """A dialog waits a little longer: what is refused at once then stands beside its field, with what was typed."""
    if form is None or not settings.FAST_LANE_S:
        return None
    return max(float(settings.FAST_LANE_S), DIALOG_WAIT_S)


def _after_form(
    request: HttpRequest, vm: VirtualMachine, action: VmAction, form: ActionForm, job: Job | None
) -> HttpResponse:
    """What failed at once stands beside its field; otherwise the dialog goes and the page shows the rest."""
    if job is not None and job.has_failed:
        form.refuse(job.field, job.reason)
        return _question(request, vm, action, form, status=422)
    if not is_htmx(request):
        _tell(request, vm, action, job)
        is_there = visible_to(user_of(request)).filter(uuid=vm.uuid).exists()
        return redirect(_back(vm, action)) if is_there else redirect("vms:list")
    response = HttpResponse(status=204)
    trigger(response, done={"subject": vm.subject}, rows={"ids": [str(vm.uuid)]})
    if job is None or not job.is_active:
        toast(response, _done_words(vm, action, job))
    else:
        toast(response, f"{job.title}: the page shows how far it is.", "info")
    return response


def _done_words(vm: VirtualMachine, action: VmAction, job: Job | None) -> str:
    """What is said after a quick success, which may be that it is to come."""
    if action.place == "settings" and job is not None and job.result.get("pending"):
        return "It is kept, and takes effect after a restart."
    return action.done or f"{action.label} “{vm.name}”: done."


def _tell(request: HttpRequest, vm: VirtualMachine, action: VmAction, job: Job | None) -> None:
    if job is None or not job.is_active:
        if job is not None and job.has_failed:
            messages.error(request, f"{action.label} “{vm.name}”: {job.reason}")
        else:
            messages.success(request, _done_words(vm, action, job))
    else:
        messages.info(request, f"{action.doing} “{vm.name}”.")


def _refused(request: HttpRequest, vm: VirtualMachine, refusal: ActionRefused) -> HttpResponse:
    """The reason as a sentence, and the machine as it is: it may have changed since the page was made."""
    if not is_htmx(request):
        messages.error(request, f"“{vm.name}”: {refusal.reason}")
        return redirect("vms:detail", uuid=vm.uuid)
    response = _as_it_is_now(request, vm.uuid, status=403 if refusal.forbidden else 409)
    toast(response, f"“{vm.name}”: {refusal.reason}", "warning")
    return response


# -- many at once ------------------------------------------------------------------------------------------------------


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """One action on the chosen machines; what cannot be done is skipped with its reason."""
    chosen = _action(request.POST.get("action", ""))
    if not chosen.in_bulk:
        raise Http404("This is not done to many machines at once.")
    user = user_of(request)
    uuids = _valid(request.POST.getlist("vm"))
    if "matching" in request.POST:
        uuids = listing.matching(user, listing.filters_from(QueryDict(request.POST["matching"])))
    if len(uuids) > MOST_AT_ONCE:
        sentence = f"{len(uuids)} machines are too many: at most {MOST_AT_ONCE} at once. Narrow the list."
        return _bulk_answer(request, sentence, [], [], "warning")
    vms = listing.some(user, uuids)
    if not vms:
        return _bulk_answer(request, "Select some machines first.", [], [], "warning")
    if chosen.asks and not _bulk_is_confirmed(request, chosen, vms):
        return _bulk_question(request, chosen, vms)
    if chosen.form is not None:
        first = chosen.form(_first_able(chosen, vms, user), user, request.POST)
        if not first.is_valid():
            return _bulk_question(request, chosen, vms, first, status=422)
    done: list[VirtualMachine] = []
    skipped: list[tuple[VirtualMachine, str]] = []
    for vm in vms:
        try:
            chosen.perform(vm, user, **_bulk_options(request, chosen, vm))
            done.append(vm)
        except ActionRefused as refusal:
            skipped.append((vm, refusal.reason))
    return _bulk_answer(request, _bulk_sentence(chosen, done, skipped), vms, skipped, "success" if done else "warning")


def _bulk_options(request: HttpRequest, action: VmAction, vm: VirtualMachine) -> dict[str, Any]:
    """What one dialog says for each of many machines; where it does not fit, that machine is skipped."""
    if action.form is None or not action.check(vm, user_of(request)).is_allowed:
        return {}
    form = action.form(vm, user_of(request), request.POST)
    if not form.is_valid():
        raise ActionRefused(str(next(iter(form.errors.values()))[0]))
    return form.cleaned_data


def _valid(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def _must_type(action: VmAction, vms: list[VirtualMachine]) -> str:
    """What has to be typed before it is done: one machine's name, or how many they are."""
    if action.confirm != "type":
        return ""
    return vms[0].name if len(vms) == 1 else str(len(vms))


def _bulk_is_confirmed(request: HttpRequest, action: VmAction, vms: list[VirtualMachine]) -> bool:
    must_type = _must_type(action, vms)
    if must_type:
        return request.POST.get("typed", "").strip() == must_type
    return bool(request.POST.get("confirmed"))


def _bulk_title(action: VmAction, count: str) -> str:
    return action.title.replace("“{name}”", count) or f"{action.label} {count}?"


def _bulk_question(
    request: HttpRequest, action: VmAction, vms: list[VirtualMachine], form: ActionForm | None = None, status: int = 200
) -> HttpResponse:
    user = user_of(request)
    words: dict[str, int] = {}
    for vm in vms:
        word = looks.vm_badge(vm).word.lower()
        words[word] = words.get(word, 0) + 1
    context = {
        "action": action,
        "vms": vms,
        "count": number_words(len(vms), "machine"),
        "title": _bulk_title(action, number_words(len(vms), "machine")),
        "by_state": ", ".join(f"{count} {word}" for word, count in sorted(words.items(), key=lambda item: -item[1])),
        "must_type": _must_type(action, vms),
        "form": form or (action.form(_first_able(action, vms, user), user) if action.form else None),
        "is_dialog": is_htmx(request),
        "skipped": sum(not action.check(vm, user).is_allowed for vm in vms),
    }
    return render(request, "vms/_bulk_ask.html" if is_htmx(request) else "vms/bulk_ask.html", context, status=status)


def _first_able(action: VmAction, vms: list[VirtualMachine], user: User) -> VirtualMachine:
    """The machine that one dialog for many is made for: the first that it can be done to."""
    return next((vm for vm in vms if action.check(vm, user).is_allowed), vms[0])


def _bulk_sentence(action: VmAction, done: list[VirtualMachine], skipped: list[tuple[VirtualMachine, str]]) -> str:
    """ "Starting 3 machines. 1 was skipped: It is running already." """
    parts = [f"{action.doing} {number_words(len(done), 'machine')}."] if done else []
    if skipped:
        reasons = list(dict.fromkeys(reason for _, reason in skipped))
        were = "1 was" if len(skipped) == 1 else f"{len(skipped)} were"
        parts.append(f"{were} skipped: {reasons[0]}" if len(reasons) == 1 else f"{were} skipped.")
    return " ".join(parts)


def _bulk_answer(
    request: HttpRequest,
    sentence: str,
    vms: list[VirtualMachine],
    skipped: list[tuple[VirtualMachine, str]],
    level: str,
) -> HttpResponse:
    details = [f"{vm.name}: {reason}" for vm, reason in skipped[:MOST_TOLD]]
    if len(skipped) > MOST_TOLD:
        details.append(f"… and {len(skipped) - MOST_TOLD} more.")
    if not is_htmx(request):
        add = messages.warning if level == "warning" else messages.success
        add(request, " ".join([sentence, *(details if len({reason for _, reason in skipped}) > 1 else [])]))
        return redirect("vms:list")
    response = HttpResponse(status=204)
    toast(response, sentence, "warning" if level == "warning" else "success", details)
    trigger(response, rows={"ids": [str(vm.uuid) for vm in vms[:MOST_TOLD]]})
    return response


# -- one machine -------------------------------------------------------------------------------------------------------


def _header_context(request: HttpRequest, vm: VirtualMachine) -> dict[str, Any]:
    user = user_of(request)
    front, behind = looks.split_buttons(vm, user)
    again = ""
    if vm.presence == Presence.WANTED and vm.problem_job and not vm.active_job and allowed(user, "vm.create", vm):
        again = f"{_create_address()}?again={vm.problem_job}"
    return {
        "vm": vm,
        "badge": looks.vm_badge(vm),
        "front_buttons": front,
        "menu_buttons": behind,
        "consoles": looks.console_links(vm, user) if vm.is_running or vm.is_paused else [],
        "again_address": again,
        "may_cancel": looks.may_cancel(vm, user),
        "rename": next((button for button in behind if button.name == "rename" and not button.reason), None),
        "may_change": allowed(user, "vm.change", vm),
        "may_delete": allowed(user, "vm.delete", vm),
    }


@require_GET
def detail(request: HttpRequest, uuid: UUID, tab: str = "overview") -> HttpResponse:
    vm = _found(request, uuid)
    user = user_of(request)
    context = {**_header_context(request, vm), **tabs.context_of(vm, user, tab), "tabs": tabs.bar(vm, tab)}
    return render(request, "vms/detail.html", context)


@require_GET
def header(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The head of the page anew, for news; a machine that was deleted meanwhile says so."""
    user = user_of(request)
    vms = with_jobs(visible_to(user).filter(uuid=uuid))
    if vms:
        return render(request, "vms/_header.html", _header_context(request, vms[0]))
    gone = VirtualMachine.objects.filter(within(user, "vm.view"), uuid=uuid, presence=Presence.DELETED).first()
    if gone is None:
        raise Http404("There is no such machine.")
    return render(request, "vms/_gone.html", {"vm": gone})


@require_GET
def part(request: HttpRequest, uuid: UUID, tab: str) -> HttpResponse:
    """What stands below the tabs anew, for news."""
    if tab not in tabs.TABS:
        raise Http404("There is no such part.")
    return render(request, "vms/_part.html", tabs.context_of(_found(request, uuid), user_of(request), tab))


@require_POST
def describe(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Keep a note about the machine; text that is refused stays in the field."""
    vm = _found(request, uuid)
    user = user_of(request)
    text = request.POST.get("description", "").replace("\r\n", "\n").strip()
    reason = ""
    if not allowed(user, "vm.change", vm):
        reason = "Your role in this project may not change the description."
    elif len(text) > LONGEST_DESCRIPTION:
        reason = f"It is too long by {len(text) - LONGEST_DESCRIPTION} characters."
    else:
        services.set_description(vm, description=text, user=user)
    if not is_htmx(request) and not reason:
        messages.success(request, "The description is saved.")
        return redirect("vms:detail", uuid=uuid)
    context = {"vm": vm, "may_change": True, "typed": text, "error": reason, "is_open": bool(reason)}
    if not is_htmx(request):
        context = {**_header_context(request, vm), **tabs.context_of(vm, user, "overview"), **context, "tabs": []}
        return render(request, "vms/detail.html", context, status=422)
    response = render(request, "vms/_description.html", context, status=422 if reason else 200)
    if not reason:
        toast(response, "The description is saved.")
    return response


@require_POST
def dismiss_problem(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Take the note of a failure away; the machine itself stays."""
    vm = _found(request, uuid)
    if not allowed(user_of(request), "vm.operate", vm):
        return _refused(request, vm, ActionRefused("You may not do this here.", forbidden=True))
    services.dismiss_problem(vm, user=user_of(request))
    return _as_it_is_now(request, uuid) if is_htmx(request) else redirect("vms:detail", uuid=uuid)
