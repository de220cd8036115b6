"""Reading consoles that are or were open, and guest links: always from what the user may see."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from kvweb.accounts.access import Person, within
from vms.models import ConsoleSession, GuestLink, VirtualMachine

FILTERS = {"open": Q(ended_at=None), "ended": Q(ended_at__isnull=False)}


def visible_to(user: Person) -> QuerySet[ConsoleSession]:
    """One's own, and those at machines of projects that one manages; administrators see all."""
    visible = within(user, "console.manage", "vm__project")
    if user.is_authenticated and not user.is_superuser:
        visible |= Q(user=user)
    return ConsoleSession.objects.filter(visible).select_related("vm__project", "user", "grant", "guest_link")


def for_list(user: Person, *, state: str = "open", text: str = "") -> QuerySet[ConsoleSession]:
    found = visible_to(user).filter(FILTERS[state])
    for word in text.split()[:6]:
        found = found.filter(Q(who__icontains=word) | Q(vm__name__icontains=word) | Q(address__icontains=word))
    return found


def open_at(vm: VirtualMachine) -> QuerySet[ConsoleSession]:
    """Who is at this machine's consoles now; for all who may open one themselves."""
    return ConsoleSession.objects.filter(vm=vm, ended_at=None).order_by("opened_at")


def links_of(vm: VirtualMachine) -> QuerySet[GuestLink]:
    return GuestLink.objects.filter(vm=vm).select_related("created_by", "vm")
