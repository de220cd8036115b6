"""What can be done to a machine's settings; each answers with its job, whose result says what waits for a restart."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import User
from kvweb.audit.services import record
from kvweb.events.services import publish
from kvweb.jobs.models import Job
from kvweb.ui.words import number_words, size_words
from vms import option_fields, screenshots
from vms.models import VirtualMachine
from vms.services import start_job


def resize(vm: VirtualMachine, *, user: User, vcpus: int | None = None, memory_mib: int | None = None) -> Job:
    """Another number of CPUs, another amount of memory, or both; None leaves it."""
    words = [number_words(vcpus, "CPU")] if vcpus is not None else []
    words += [size_words(memory_mib)] if memory_mib is not None else []
    return start_job(
        vm,
        "vm.resize",
        verb=f"Give {' and '.join(words) or 'nothing'} to",
        doing="Changing the size",
        user=user,
        params={"vcpus": vcpus, "memory_mib": memory_mib},
    )


def change_flavor(vm: VirtualMachine, *, user: User, flavor: str) -> Job:
    """Another of the provider's sizes, by its external_id."""
    return start_job(
        vm,
        "vm.change_flavor",
        verb="Change the size of",
        doing="Changing the size",
        user=user,
        params={"flavor": flavor},
    )


def set_options(vm: VirtualMachine, *, user: User, options: dict[str, Any], group: str = "") -> Job:
    """Change these options of the kind; `group` is their heading, for trying again.

    Raises ActionRefused for those that are an administrator's.
    """
    if reason := option_fields.forbidden(vm.provider, options, user):
        raise ActionRefused(reason, forbidden=True)
    return start_job(
        vm,
        "vm.set_options",
        verb="Change settings of",
        doing="Changing settings",
        user=user,
        params={"options": options, "group": group},
    )


def set_autostart(vm: VirtualMachine, *, user: User, autostart: bool) -> Job:
    return start_job(
        vm,
        "vm.set_autostart",
        verb="Start with its host:" if autostart else "Do not start with its host:",
        doing="Changing settings",
        user=user,
        params={"autostart": autostart},
    )


@transaction.atomic
def show_screen(vm: VirtualMachine, *, user: User | None = None, shows_screen: bool) -> None:
    """Pictures of its screen are the portal's own; what was kept of them goes at once."""
    vm.shows_screen = shows_screen
    vm.save(update_fields=["shows_screen"])
    details = {"shows_screen": shows_screen}
    record(
        "vm.show_screen",
        subject=vm.subject,
        subject_name=vm.name,
        actor=user,
        project_id=vm.project_id,
        details=details,
    )
    publish(vm.subject, project_id=vm.project_id)
    if not shows_screen:
        screenshots.drop(vm.uuid)


@transaction.atomic
def protect(vm: VirtualMachine, *, user: User | None = None, is_protected: bool) -> None:
    """Keep it from being deleted in the portal, or allow that again. Nothing is asked of the provider."""
    vm.is_protected = is_protected
    vm.save(update_fields=["is_protected"])
    verb = "vm.protect" if is_protected else "vm.unprotect"
    record(verb, subject=vm.subject, subject_name=vm.name, actor=user, project_id=vm.project_id)
    publish(vm.subject, project_id=vm.project_id)


def apply_pending(vm: VirtualMachine, *, user: User | None = None) -> Job:
    """Shut it down and start it again: a reboot of the guest alone would change nothing."""
    return start_job(vm, "vm.apply_pending", verb="Restart", doing="Restarting", user=user)
