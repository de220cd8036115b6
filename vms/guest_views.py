"""Guests: who makes and takes back links, and the bare page on which a guest sees one console and nothing else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kvweb.accounts.access import allowed
from kvweb.accounts.actions import ActionRefused
from kvweb.audit.context import address_of
from providers.base import ConsoleKind
from vms.console import grants, guest_links, session_selectors
from vms.console.closing import Code, Refused
from vms.console.standing import GUEST_LINKS
from vms.console.views import STATUS, context_of
from vms.guest_forms import LABELS, InviteForm
from vms.models import GuestLink, VirtualMachine
from vms.session_actions import INVITE, REVOKE
from vms.view_parts import found_vm, user_of

# -- who lets guests in ------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def links(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The machine's guest links, and a new one; its secret is on this one answer and nowhere else."""
    vm, user = found_vm(request, uuid), user_of(request)
    if not allowed(user, "vm.share", vm):
        raise PermissionDenied("Your role in this project may not let guests in.")
    form = InviteForm(vm, user, request.POST if request.method == "POST" else None, typed=request.GET.dict())
    made: guest_links.Made | None = None
    if form.is_bound and form.is_valid():
        try:
            outcome = INVITE.perform(vm, user, **form.cleaned_data)
        except ActionRefused as refused:
            form.refuse("", refused.reason)
        else:
            assert isinstance(outcome, guest_links.Made)  # noqa: S101 - what the service returns
            made, form = outcome, InviteForm(vm, user)
    context = {
        "vm": vm,
        "form": form,
        "made": made.link if made else None,
        "address": _address(request, made) if made else "",
        "links": [(link, LABELS[ConsoleKind(link.kind)]) for link in session_selectors.links_of(vm)[:50]],
        "can_invite": INVITE.check(vm, user).is_allowed,
    }
    return render(request, "consoles/guests.html", context, status=422 if form.is_bound else 200)


def _address(request: HttpRequest, made: guest_links.Made) -> str:
    return f"{request.build_absolute_uri(reverse('guest:page', args=[made.link.uuid]))}#{made.secret}"


@require_POST
def revoke(request: HttpRequest, uuid: UUID, link_uuid: UUID) -> HttpResponse:
    vm, user = found_vm(request, uuid), user_of(request)
    link = session_selectors.links_of(vm).filter(uuid=link_uuid).first()
    if link is None:
        raise Http404("There is no such link.")
    try:
        REVOKE.perform(link, user)
    except ActionRefused as refused:
        if refused.forbidden:
            raise PermissionDenied(refused.reason) from None
        messages.error(request, refused.reason)
    else:
        messages.success(request, f"The link for {link.guest_name} was taken back; what it had open closes.")
    return redirect("vms:guests", uuid=uuid)


# -- guests ------------------------------------------------------------------------------------------------------------


def _entered(request: HttpRequest, uuid: UUID) -> GuestLink | None:
    """The link, when this session has shown its secret and it still works."""
    if str(uuid) not in request.session.get(GUEST_LINKS, []):
        return None
    link = GuestLink.objects.select_related("vm__provider", "vm__project", "created_by").filter(uuid=uuid).first()
    return link if link is not None and guest_links.works(link) else None


@login_not_required
@ensure_csrf_cookie
@require_GET
def page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The console and nothing else; or the door, which is the same for links that exist and for those that do not."""
    link = _entered(request, uuid)
    if link is None:
        return render(request, "consoles/guest_door.html", {"enter_address": reverse("guest:enter", args=[uuid])})
    context = context_of(link.vm, ConsoleKind(link.kind), AnonymousUser())
    context |= {
        "is_guest": True,
        "sends_keys": False,
        "others": [],
        "grant_address": reverse("guest:grant", args=[uuid]),
        "link": link,
    }
    return render(request, "vms/console.html", context)


@sensitive_post_parameters("secret")
@login_not_required
@require_POST
def enter(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """Show the secret once; the session remembers that this browser may pass."""
    try:
        link = guest_links.enter(uuid, request.POST.get("secret", "")[:200], address=address_of(request))
    except Refused as refused:
        return _refused(refused)
    if not request.user.is_authenticated:
        # What a guest's session was before is nobody's business any more.
        request.session.cycle_key()
        request.session.set_expiry(link.expires_at)
    known: list[str] = request.session.get(GUEST_LINKS, [])
    request.session[GUEST_LINKS] = [*(each for each in known if each != str(uuid)), str(uuid)][-20:]
    return JsonResponse({"entered": True})


@login_not_required
@require_POST
def grant(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """One connection's right, as people with an account get it."""
    link = _entered(request, uuid)
    if link is None:
        return _refused(Refused(Code.NOT_ALLOWED, guest_links.NO_SUCH_LINK))
    vm: VirtualMachine = link.vm
    try:
        issued = grants.issue(
            vm,
            ConsoleKind(link.kind),
            guest_link=link,
            session_key=request.session.session_key or "",
            address=address_of(request),
        )
    except Refused as refused:
        return _refused(refused)
    return JsonResponse(
        {"token": issued.token, "path": f"/ws/console/{issued.grant.uuid}", "view_only": issued.grant.view_only}
    )


def _refused(refused: Refused) -> JsonResponse:
    closing = refused.closing
    told: dict[str, Any] = {"code": int(closing.code), "sentence": closing.reason}
    return JsonResponse(told, status=STATUS.get(closing.code, 409))
