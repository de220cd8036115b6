"""One action on many machines: the question for all of them, and what came of each."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from kvweb.accounts.actions import ActionForm, ActionRefused
from kvweb.accounts.models import User
from kvweb.ui.htmx import is_htmx, toast, trigger
from kvweb.ui.words import number_words
from vms import listing, looks
from vms.conditions import VmAction
from vms.models import VirtualMachine
from vms.view_parts import action_called, user_of, valid_uuids

#: More machines are not changed at once.
MOST_AT_ONCE = 500
#: Names and reasons travel in a header, which has its limits; open pages hear of the rest by their stream.
MOST_TOLD = 20
#: Of a machine that this is not offered for: no right, or its provider cannot do it.
NOT_HERE = "You may not do this here."


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """One action on the chosen machines; what cannot be done is skipped with its reason."""
    chosen = action_called(request.POST.get("action", ""))
    if not chosen.in_bulk:
        raise Http404("This is not done to many machines at once.")
    user = user_of(request)
    uuids = valid_uuids(request.POST.getlist("vm"))
    if "matching" in request.POST:
        uuids = listing.matching(user, listing.filters_from(QueryDict(request.POST["matching"])))
    if len(uuids) > MOST_AT_ONCE:
        sentence = f"{len(uuids)} machines are too many: at most {MOST_AT_ONCE} at once. Narrow the list."
        return _bulk_answer(request, sentence, [], [], "warning")
    vms = listing.some(user, uuids)
    if not vms:
        return _bulk_answer(request, "Select some machines first.", [], [], "warning")
    if chosen.asks and not _bulk_is_confirmed(request, chosen, vms):
        able, refused = _sorted_out(chosen, vms, user)
        # A question whose every answer is “nothing happens” is not asked.
        if not able:
            return _bulk_answer(request, _bulk_sentence(chosen, [], refused), vms, refused, "warning")
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


def _sorted_out(
    action: VmAction, vms: list[VirtualMachine], user: User
) -> tuple[list[VirtualMachine], list[tuple[VirtualMachine, str]]]:
    """Those that it can be done to now, and the others, each with its reason."""
    able: list[VirtualMachine] = []
    refused: list[tuple[VirtualMachine, str]] = []
    for vm in vms:
        check = action.check(vm, user)
        if check.is_allowed:
            able.append(vm)
        else:
            refused.append((vm, check.reason or NOT_HERE))
    return able, refused


def _bulk_options(request: HttpRequest, action: VmAction, vm: VirtualMachine) -> dict[str, Any]:
    """What one dialog says for each of many machines; where it does not fit, that machine is skipped."""
    if action.form is None or not action.check(vm, user_of(request)).is_allowed:
        return {}
    form = action.form(vm, user_of(request), request.POST)
    if not form.is_valid():
        raise ActionRefused(str(next(iter(form.errors.values()))[0]))
    return form.cleaned_data


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
    able, refused = _sorted_out(action, vms, user)
    count = number_words(len(vms), "machine")
    words: dict[str, int] = {}
    for vm in vms:
        word = looks.vm_badge(vm).word.lower()
        words[word] = words.get(word, 0) + 1
    context = {
        "action": action,
        "vms": vms,
        "title": _bulk_title(action, count),
        "submit": f"{action.label} {f'{len(able)} of {count}' if refused else count}",
        "by_state": ", ".join(f"{number} {word}" for word, number in sorted(words.items(), key=lambda item: -item[1])),
        "must_type": _must_type(action, vms),
        "form": form or (action.form((able or vms)[0], user) if action.form else None),
        "is_dialog": is_htmx(request),
        "skipped": _skipped_words(refused),
    }
    return render(request, "vms/_bulk_ask.html" if is_htmx(request) else "vms/bulk_ask.html", context, status=status)


def _first_able(action: VmAction, vms: list[VirtualMachine], user: User) -> VirtualMachine:
    """The machine that one dialog for many is made for: the first that it can be done to."""
    return next((vm for vm in vms if action.check(vm, user).is_allowed), vms[0])


def _bulk_sentence(action: VmAction, done: list[VirtualMachine], skipped: list[tuple[VirtualMachine, str]]) -> str:
    """ "Starting 3 machines. 1 was skipped: It is running already." """
    parts = [f"{action.doing} {number_words(len(done), 'machine')}."] if done else []
    if skipped:
        parts.append(_skipped_words(skipped, "was", "were"))
    return " ".join(parts)


def _skipped_words(skipped: list[tuple[VirtualMachine, str]], one: str = "is", several: str = "are") -> str:
    """ "1 is skipped: It is running already."; empty when none is."""
    if not skipped:
        return ""
    reasons = list(dict.fromkeys(reason for _, reason in skipped))
    words = f"{len(skipped)} {one if len(skipped) == 1 else several} skipped"
    return f"{words}: {reasons[0]}" if len(reasons) == 1 else f"{words}."


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
