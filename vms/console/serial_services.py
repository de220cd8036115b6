"""Whether a machine's serial line is listened to also while nobody watches; reading what the provider keeps of it."""

from __future__ import annotations

from django.db import transaction

from kvweb.accounts.models import User
from kvweb.audit.services import record
from kvweb.events.services import publish
from kvweb.jobs.models import Job
from providers.models import Provider
from vms.console import signals
from vms.models import VirtualMachine
from vms.services import start_job


def keep_log(vm: VirtualMachine, *, user: User) -> None:
    """From now on; the console service notices within a few seconds."""
    _set(vm, user, keeps=True)


def drop_log(vm: VirtualMachine, *, user: User) -> None:
    """What was kept so far stays until its time is over."""
    _set(vm, user, keeps=False)


def read_output(vm: VirtualMachine, *, user: User) -> Job:
    """Ask the provider for what it keeps itself; the machine's page of its serial log shows it."""
    return start_job(vm, "vm.read_output", verb="Read the console output of", doing="Reading console output", user=user)


def note_restart(provider: Provider, external_id: str) -> None:
    """A guest began anew while its machine ran on: its log gets a mark, where its line is listened to."""
    vm = VirtualMachine.objects.filter(provider=provider, external_id=external_id).only("uuid").first()
    if vm is not None:
        signals.announce_restart(str(vm.uuid))


def _set(vm: VirtualMachine, user: User, *, keeps: bool) -> None:
    with transaction.atomic():
        vm.keeps_serial_log = keeps
        vm.save(update_fields=["keeps_serial_log"])
        record(
            "vm.serial_log.kept" if keeps else "vm.serial_log.dropped",
            subject=vm.subject,
            subject_name=vm.name,
            actor=user,
            project_id=vm.project_id,
        )
        publish(vm.subject, project_id=vm.project_id)
