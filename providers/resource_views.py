"""The pages that pools, volumes and networks have alike: rows, one thing, its menu, the question, and the doing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import Person
from kvweb.accounts.actions import ActionForm, ActionRefused
from kvweb.accounts.models import User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from kvweb.jobs.selectors import visible_to as visible_jobs
from kvweb.ui.htmx import is_htmx, target, toast, trigger
from providers.machines import Users
from providers.resource_actions import Button, ResourceAction, buttons
from providers.resources import Resource, with_jobs

R = TypeVar("R", bound=Resource)

#: The action that takes the note of a failure away; it stands beside the note.
NOTE = "dismiss-problem"
#: More rows than a page has are not asked for at once.
MOST_ROWS = 200


def user_of(request: HttpRequest) -> User:
    """The person themselves, without the wrapper that looks up every attribute."""
    # Every page here asks for a signed-in person; the question also opens the wrapper.
    assert request.user.is_authenticated  # noqa: S101
    user = getattr(request.user, "_wrapped", request.user)
    assert isinstance(user, User)  # noqa: S101
    return user


@cache
def list_address(namespace: str) -> str:
    return reverse(f"{namespace}:list")


def valid_uuids(texts: Iterable[str]) -> list[UUID]:
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


class ResourcePages(ABC, Generic[R]):
    """Subclasses say what is listed, what can be done, and what rows and pages are made with."""

    namespace: str
    """Of the routes: "pools"."""
    noun: str
    """What a sentence calls one: "pool"."""
    title: str
    """What the list is called: "Pools"."""
    folder: str
    """Of the templates `_row.html`, `_part.html` and `detail.html`."""
    actions: Mapping[str, ResourceAction[R]]

    @abstractmethod
    def visible_to(self, user: Person) -> QuerySet[R]: ...

    @abstractmethod
    def rows(self, resources: list[R], user: User) -> list[dict[str, Any]]:
        """What each row's template gets; for all of them at once, so that queries do not grow."""

    @abstractmethod
    def part(self, request: HttpRequest, resource: R) -> dict[str, Any]:
        """What the page of one thing gets."""

    def users(self, request: HttpRequest, resource: R) -> Users:
        """The machines that use it, as this person may know them."""
        del request, resource
        return Users()

    # -- finding -------------------------------------------------------------------------------------------------------

    def find(self, request: HttpRequest, uuid: UUID) -> R:
        """The thing with its active job; 404 for one that does not exist and for a stranger's alike."""
        found = with_jobs(self.visible_to(user_of(request)).filter(uuid=uuid))
        if not found:
            raise Http404(f"There is no such {self.noun}.")
        return found[0]

    def action(self, name: str) -> ResourceAction[R]:
        try:
            return self.actions[name]
        except KeyError:
            raise Http404("There is no such action.") from None

    def rendered(self, resources: list[R], user: User) -> SafeString:
        template = f"{self.folder}/_row.html"
        made = [render_to_string(template, context) for context in self.rows(resources, user)]
        return mark_safe("".join(made))  # noqa: S308 - templates escape

    def buttons(self, resource: R, user: Person) -> list[Button]:
        return buttons(self.actions, resource, user, self._address(resource))

    def quick(self, resource: R, user: Person) -> list[Button]:
        """What can be done now and stands in the thing's row."""
        found = buttons(self.actions, resource, user, self._address(resource), in_the_open=True)
        return [button for button in found if not button.reason]

    # -- showing -------------------------------------------------------------------------------------------------------

    def rows_view(self, request: HttpRequest) -> HttpResponse:
        """Rows of these things, for news; those that are gone are simply not among them."""
        user = user_of(request)
        uuids = valid_uuids(request.GET.get("ids", "").split(",")[:MOST_ROWS])
        return HttpResponse(self.rendered(with_jobs(self.visible_to(user).filter(uuid__in=uuids)), user))

    def menu_view(self, request: HttpRequest, uuid: UUID) -> HttpResponse:
        """What may be done to one thing, fetched when its menu is opened."""
        resource = self.find(request, uuid)
        context = {"buttons": self.buttons(resource, user_of(request)), "address": self._address(resource)}
        return render(request, "resources/_menu.html", context)

    def detail_view(self, request: HttpRequest, uuid: UUID) -> HttpResponse:
        return render(request, f"{self.folder}/detail.html", self._part(request, self.find(request, uuid)))

    def part_view(self, request: HttpRequest, uuid: UUID) -> HttpResponse:
        """The page's live part, when there is news of it; what was deleted meanwhile says so."""
        found = with_jobs(self.visible_to(user_of(request)).filter(uuid=uuid))
        if found:
            return render(request, "resources/_page.html", self._part(request, found[0]))
        if not visible_jobs(user_of(request)).filter(subject=f"{self._sort(request)}:{uuid}").exists():
            raise Http404(f"There is no such {self.noun}.")
        context = {"uuid": uuid, "noun": self.noun, "list": self._list(), "list_title": self.title}
        return render(request, "resources/_gone.html", context)

    def _part(self, request: HttpRequest, resource: R) -> dict[str, Any]:
        shown = self.buttons(resource, user_of(request))
        return {
            "one": resource,
            "noun": self.noun,
            "list_title": self.title,
            "list": self._list(),
            "folder": self.folder,
            "part_template": f"{self.folder}/_part.html",
            "part_address": reverse(f"{self.namespace}:part", args=[resource.uuid]),
            "front_buttons": [button for button in shown if button.in_the_open and not button.reason],
            "menu_buttons": [one for one in shown if (not one.in_the_open or one.reason) and one.name != NOTE],
            "dismiss_note": next((one for one in shown if one.name == NOTE), None),
            **self.part(request, resource),
        }

    def _sort(self, request: HttpRequest) -> str:
        """What the subjects begin with: "pool"."""
        return self.visible_to(user_of(request)).model.sort

    def _address(self, resource: R) -> str:
        # Its routes stand in `urls` below; a row needs several, and `reverse` takes its time.
        return f"{self._list()}{resource.uuid}/"

    def _list(self) -> str:
        return list_address(self.namespace)

    # -- doing ---------------------------------------------------------------------------------------------------------

    def ask_view(self, request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
        """The question before an action: in a dialog, or as a page of its own where there are no scripts."""
        resource, chosen = self.find(request, uuid), self.action(action)
        return self._question(request, resource, chosen, self._form(request, resource, chosen))

    @staticmethod
    def _form(request: HttpRequest, resource: R, action: ResourceAction[R]) -> ActionForm | None:
        """The action's form: filled in by the link's parameters, or by what was sent."""
        if action.form is None:
            return None
        if request.method == "POST":
            return action.form(resource, user_of(request), request.POST)
        return action.form(resource, user_of(request), typed=request.GET.dict())

    def _question(
        self,
        request: HttpRequest,
        resource: R,
        action: ResourceAction[R],
        form: ActionForm | None,
        *,
        status: int = 200,
    ) -> HttpResponse:
        check = action.check(resource, user_of(request))
        context = {
            "one": resource,
            "noun": self.noun,
            "list_title": self.title,
            "list": self._list(),
            "back": self._address(resource),
            "action": action,
            "form": form,
            "title": (form.title if form else "") or f"{action.label} “{resource.name}”{'' if form else '?'}",
            "question": (form.question if form else "") or action.question.format(name=resource.name),
            "to": reverse(f"{self.namespace}:do", args=[resource.uuid, action.name]),
            "reason": ("You may not do this here." if check.is_hidden else check.reason)
            or (form.reason if form else ""),
            "users": self.users(request, resource) if action.is_destructive else None,
            "is_dialog": is_htmx(request),
        }
        template = "resources/_ask.html" if is_htmx(request) else "resources/ask.html"
        return render(request, template, context, status=status)

    def do_view(self, request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
        """Do it, wait a moment for its end, and answer with the thing as it is then."""
        resource, chosen = self.find(request, uuid), self.action(action)
        user = user_of(request)
        form = self._form(request, resource, chosen)
        if form is not None and chosen.check(resource, user).is_allowed and not form.is_valid():
            return self._question(request, resource, chosen, form, status=422)
        if not self._is_confirmed(request, chosen, resource):
            return self._not_confirmed(request, resource, chosen)
        name = resource.name
        # A form that was not asked belongs to an action that refuses anyway.
        options = form.cleaned_data if form is not None and hasattr(form, "cleaned_data") else {}
        try:
            outcome = chosen.perform(resource, user, **options)
        except ActionRefused as refusal:
            return self._refused(request, resource, refusal)
        job = jobs.wait(outcome) if isinstance(outcome, Job) else None
        if form is not None and job is not None and job.has_failed and chosen.confirm == "none":
            # What failed at once stands beside the field it is about.
            form.refuse(job.field, job.reason)
            return self._question(request, self.find(request, uuid), chosen, form, status=422)
        return self._done(request, uuid, name, chosen, job)

    @staticmethod
    def _is_confirmed(request: HttpRequest, action: ResourceAction[R], resource: R) -> bool:
        if action.confirm == "type":
            return request.POST.get("typed", "").strip() == resource.name
        return action.confirm == "none" or bool(request.POST.get("confirmed"))

    def _not_confirmed(self, request: HttpRequest, resource: R, action: ResourceAction[R]) -> HttpResponse:
        if not is_htmx(request):
            return redirect(f"{self.namespace}:ask", uuid=resource.uuid, action=action.name)
        response = self._as_it_is_now(request, resource.uuid, status=409)
        toast(response, f"Nothing was done: type “{resource.name}” exactly to confirm.", "warning")
        return response

    def _refused(self, request: HttpRequest, resource: R, refusal: ActionRefused) -> HttpResponse:
        """The reason as a sentence, and the thing as it is: it may have changed since the page was made."""
        if not is_htmx(request):
            messages.error(request, f"“{resource.name}”: {refusal.reason}")
            return redirect(f"{self.namespace}:detail", uuid=resource.uuid)
        if target(request) == "dialog":
            # It changed while the dialog was open, and there is no place for a row in there.
            response = HttpResponse(status=204)
            trigger(response, done={"subject": resource.subject})
        else:
            response = self._as_it_is_now(request, resource.uuid, status=403 if refusal.forbidden else 409)
        toast(response, f"“{resource.name}”: {refusal.reason}", "warning")
        return response

    def _done(
        self, request: HttpRequest, uuid: UUID, name: str, action: ResourceAction[R], job: Job | None
    ) -> HttpResponse:
        is_there = self.visible_to(user_of(request)).filter(uuid=uuid).exists()
        has_failed = job is not None and job.has_failed
        is_active = job is not None and job.is_active
        sentence = action.done or f"{action.label} “{name}”: done."
        if is_active and job is not None:
            sentence = jobs.going_on(job)
        if has_failed and job is not None:
            sentence = f"{action.label} “{name}”: {job.reason}"
        if not is_htmx(request) or (target(request).startswith("page-") and not is_there):
            add = messages.error if has_failed else messages.info if is_active else messages.success
            add(request, sentence)
        if not is_htmx(request):
            return redirect(f"{self.namespace}:detail", uuid=uuid) if is_there else redirect(f"{self.namespace}:list")
        response = self._as_it_is_now(request, uuid)
        if has_failed:
            toast(response, sentence, "error")
        elif target(request) == "dialog":
            toast(response, sentence, "info" if is_active else "success")
        return response

    def _as_it_is_now(self, request: HttpRequest, uuid: UUID, status: int = 200) -> HttpResponse:
        """What the page shows of it: its row, or the page's part; a dialog with a form is closed by its event."""
        if target(request) == "dialog":
            response = HttpResponse(status=204)
            trigger(response, done={"subject": f"{self._sort(request)}:{uuid}"})
            return response
        user = user_of(request)
        found = with_jobs(self.visible_to(user).filter(uuid=uuid))
        if target(request).startswith("page-"):
            if found:
                return render(request, "resources/_page.html", self._part(request, found[0]), status=status)
            response = HttpResponse(status=200)
            response.headers["HX-Redirect"] = self._list()
            return response
        return HttpResponse(self.rendered(found, user), status=status)

    # -- routes --------------------------------------------------------------------------------------------------------

    @property
    def urls(self) -> list[URLPattern]:
        """The routes that all sorts have; those of lists and forms are their own."""
        get: Callable[..., Any] = require_GET
        post: Callable[..., Any] = require_POST
        return [
            path("rows", get(self.rows_view), name="rows"),
            path("<uuid:uuid>/", get(self.detail_view), name="detail"),
            path("<uuid:uuid>/menu", get(self.menu_view), name="menu"),
            path("<uuid:uuid>/part", get(self.part_view), name="part"),
            path("<uuid:uuid>/ask/<slug:action>", get(self.ask_view), name="ask"),
            path("<uuid:uuid>/do/<slug:action>", post(self.do_view), name="do"),
        ]
