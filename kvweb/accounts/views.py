"""Pages of one's own account, of projects and of people."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kvweb.accounts import selectors, services, sshkeys
from kvweb.accounts.access import allowed
from kvweb.accounts.forms import KeyForm, MemberForm, PasswordForm, PersonForm, ProjectForm
from kvweb.accounts.models import Membership, Project, Role, SshKey, User
from kvweb.accounts.services import NotDone


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - login_required saw to it
    return request.user


# -- one's own account -------------------------------------------------------------------------------------------------


@login_required
@require_GET
def settings(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/settings.html", {"tab": "settings"})


@sensitive_post_parameters("public_key")
@login_required
@require_http_methods(["GET", "POST"])
def ssh_keys(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    form = KeyForm(request.POST if request.method == "POST" else None, user=user)
    if form.is_bound and form.is_valid():
        key: sshkeys.PublicKey = form.cleaned_data["public_key"]
        services.add_ssh_key(user, name=form.cleaned_data["name"] or key.label[:80], public_key=key.line)
        messages.success(request, "The key was added. New machines can take it.")
        return redirect("accounts:ssh_keys")
    context = {"form": form, "keys": [_described(key) for key in selectors.keys_of(user)], "tab": "keys"}
    return render(request, "accounts/ssh_keys.html", context, status=422 if form.is_bound else 200)


def _described(key: SshKey) -> dict[str, Any]:
    """A key with its fingerprint; one that was stored by other means may be unreadable, and can still be removed."""
    try:
        parsed = sshkeys.parse(key.public_key)
    except sshkeys.BadKey:
        return {"key": key, "type": "not readable", "fingerprint": ""}
    return {"key": key, "type": parsed.type, "fingerprint": parsed.fingerprint}


@login_required
@require_POST
def remove_key(request: HttpRequest, pk: int) -> HttpResponse:
    user = _user(request)
    key = get_object_or_404(selectors.keys_of(user), pk=pk)
    services.remove_ssh_key(key, user=user)
    messages.success(request, f"The key “{key.name}” was removed. Machines that have it keep it.")
    return redirect("accounts:ssh_keys")


# -- projects ----------------------------------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def projects(request: HttpRequest) -> HttpResponse:
    """The user's projects; administrators see all and make new ones."""
    user = _user(request)
    may_create = allowed(user, "user.change")
    form = ProjectForm(request.POST if request.method == "POST" else None)
    if form.is_bound:
        if not may_create:
            raise PermissionDenied
        if form.is_valid():
            made = services.create_project(**form.cleaned_data, user=user)
            messages.success(request, f"The project “{made}” was created. Add its first manager.")
            return redirect("accounts:project", uuid=made.uuid)
    context = {"projects": selectors.projects_visible_to(user), "form": form, "may_create": may_create}
    return render(request, "accounts/projects.html", context, status=422 if form.is_bound else 200)


def _project(request: HttpRequest, uuid: UUID, verb: str = "project.view") -> Project:
    """404 for a stranger's project, 403 for one that is seen but not managed."""
    found = get_object_or_404(selectors.projects_visible_to(request.user), uuid=uuid)
    if not allowed(request.user, verb, found):
        raise PermissionDenied
    return found


@login_required
@require_GET
def project(request: HttpRequest, uuid: UUID) -> HttpResponse:
    return _show_project(request, _project(request, uuid))


def _show_project(
    request: HttpRequest, shown: Project, *, member_form: MemberForm | None = None, form: ProjectForm | None = None
) -> HttpResponse:
    context = {
        "project": shown,
        "members": selectors.members_of(shown),
        "roles": [(value, label, ROLE_WORDS[value]) for value, label in Role.choices],
        "may_manage": allowed(request.user, "project.manage", shown),
        "may_rename": allowed(request.user, "user.change"),
        "member_form": member_form or MemberForm(),
        "form": form or ProjectForm(project=shown),
    }
    has_errors = (member_form is not None and member_form.errors) or (form is not None and form.errors)
    return render(request, "accounts/project.html", context, status=422 if has_errors else 200)


#: What each role may do, in the words of the access table.
ROLE_WORDS: dict[str, str] = {
    Role.VIEWER: "sees machines and jobs",
    Role.OPERATOR: "also switches machines and opens consoles",
    Role.MEMBER: "also creates, changes and deletes machines",
    Role.MANAGER: "also decides who is in the project",
}


@login_required
@require_POST
def change_project(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Renaming is for administrators: a project's name stands in other people's lists too."""
    shown = _project(request, uuid)
    if not allowed(request.user, "user.change"):
        raise PermissionDenied
    form = ProjectForm(request.POST, project=shown)
    if not form.is_valid():
        return _show_project(request, shown, form=form)
    services.change_project(shown, **form.cleaned_data, user=_user(request))
    messages.success(request, "Saved.")
    return redirect("accounts:project", uuid=uuid)


@login_required
@require_POST
def add_member(request: HttpRequest, uuid: UUID) -> HttpResponse:
    shown = _project(request, uuid, "project.manage")
    form = MemberForm(request.POST)
    if not form.is_valid():
        return _show_project(request, shown, member_form=form)
    newcomer: User = form.cleaned_data["username"]
    try:
        services.add_member(shown, person=newcomer, role=form.cleaned_data["role"], user=_user(request))
    except NotDone as exc:
        form.add_error("username", ValidationError(str(exc)))
        return _show_project(request, shown, member_form=form)
    messages.success(request, f"“{newcomer.username}” is in the project now.")
    return redirect("accounts:project", uuid=uuid)


def _membership(shown: Project, pk: int) -> Membership:
    return get_object_or_404(selectors.members_of(shown), pk=pk)


@login_required
@require_POST
def change_role(request: HttpRequest, uuid: UUID, pk: int) -> HttpResponse:
    shown = _project(request, uuid, "project.manage")
    membership, role = _membership(shown, pk), request.POST.get("role", "")
    if role not in Role.values:
        messages.error(request, "There is no such role; nothing was changed.")
        return redirect("accounts:project", uuid=uuid)
    try:
        services.change_role(membership, role=role, user=_user(request))
    except NotDone as exc:
        messages.error(request, str(exc))
    else:
        messages.success(request, f"“{membership.user.username}” is {membership.get_role_display().lower()} now.")
    return redirect("accounts:project", uuid=uuid)


@login_required
@require_POST
def remove_member(request: HttpRequest, uuid: UUID, pk: int) -> HttpResponse:
    shown = _project(request, uuid, "project.manage")
    membership = _membership(shown, pk)
    try:
        services.remove_member(membership, user=_user(request))
    except NotDone as exc:
        messages.error(request, str(exc))
        return redirect("accounts:project", uuid=uuid)
    messages.success(request, f"“{membership.user.username}” is not in the project any more.")
    left_it = membership.user == request.user and not _user(request).is_superuser
    return redirect("accounts:projects") if left_it else redirect("accounts:project", uuid=uuid)


# -- people ------------------------------------------------------------------------------------------------------------


def _only_administrators(request: HttpRequest) -> User:
    if not allowed(request.user, "user.change"):
        raise Http404
    return _user(request)


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "POST"])
def people(request: HttpRequest) -> HttpResponse:
    user = _only_administrators(request)
    form = PersonForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        made = services.create_user(**form.cleaned_data, user=user)
        messages.success(request, f"“{made.username}” can sign in now. Add them to a project next.")
        return redirect("accounts:people")
    listed = selectors.people_visible_to(user)
    return render(
        request, "accounts/people.html", {"people": listed, "form": form}, status=422 if form.is_bound else 200
    )


@login_required
@require_GET
def person(request: HttpRequest, uuid: UUID) -> HttpResponse:
    shown = get_object_or_404(selectors.people_visible_to(_only_administrators(request)), uuid=uuid)
    return _show_person(request, shown, PasswordForm(person=shown))


def _show_person(request: HttpRequest, shown: User, form: PasswordForm) -> HttpResponse:
    context = {"person": shown, "form": form, "is_self": shown == request.user}
    return render(request, "accounts/person.html", context, status=422 if form.is_bound else 200)


@sensitive_post_parameters("password")
@login_required
@require_POST
def change_person(request: HttpRequest, uuid: UUID, what: str) -> HttpResponse:
    user = _only_administrators(request)
    shown = get_object_or_404(selectors.people_visible_to(user), uuid=uuid)
    try:
        if what in {"enable", "disable"}:
            services.set_user_active(shown, is_active=what == "enable", user=user)
        elif what in {"raise", "lower"}:
            services.set_administrator(shown, is_administrator=what == "raise", user=user)
        elif what == "password":
            form = PasswordForm(request.POST, person=shown)
            if not form.is_valid():
                return _show_person(request, shown, form)
            services.set_password(shown, password=form.cleaned_data["password"], user=user)
        else:
            raise Http404
    except NotDone as exc:
        messages.error(request, str(exc))
    else:
        messages.success(request, DONE[what].format(name=shown.username))
    return redirect("accounts:person", uuid=uuid)


DONE = {
    "enable": "“{name}” can sign in again.",
    "disable": "“{name}” is signed out and cannot sign in.",
    "raise": "“{name}” is an administrator now.",
    "lower": "“{name}” is no administrator any more.",
    "password": "“{name}” has a new password. Tell it to them.",
}
