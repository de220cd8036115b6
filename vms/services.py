"""What can be done to machines: check, record, start a job. Pages, API and bulk menu come here through actions."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction

from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import Project, User
from kvweb.audit.services import record
from kvweb.events.services import publish
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from providers.base import VmSpec
from providers.models import Provider
from providers.secrets import seal
from storage.models import Image
from vms import option_fields
from vms.choices import Presence
from vms.models import VirtualMachine


def login_of(spec: VmSpec, image: Image | None) -> str:
    """Who can sign in to the machine: the user who was asked for, else the one that the image brings."""
    if spec.cloud_init is None:
        return ""
    if spec.cloud_init.users:
        return spec.cloud_init.users[0].name[:64]
    return image.default_user if image else ""


@transaction.atomic
def create(
    *,
    project: Project,
    provider: Provider,
    spec: VmSpec,
    image: Image | None,
    user: User,
    form: dict[str, Any] | None = None,
    retry_of: VirtualMachine | None = None,
) -> tuple[VirtualMachine, Job]:
    """Write the row (wanted) and start the job that makes the machine.

    `form` is what the person typed, without secrets, so a failure loses nothing. `retry_of` is a row whose creation
    failed: it is used again instead of leaving a second one. The spec travels sealed: it may hold password hashes and
    the expert's user data.
    """
    if reason := option_fields.forbidden(provider, spec.options, user):
        raise ActionRefused(reason, forbidden=True)
    vm = retry_of or VirtualMachine(project=project, created_by=user)
    vm.project, vm.provider, vm.image = project, provider, image
    vm.name, vm.description = spec.name, spec.description
    vm.vcpus, vm.memory_mib, vm.flavor = spec.vcpus, spec.memory_mib, spec.flavor
    vm.login = login_of(spec, image)
    vm.presence, vm.problem, vm.problem_job = Presence.WANTED, "", None
    vm.save()
    spec = spec.model_copy(update={"portal_uuid": str(vm.uuid), "metadata": _marks(provider, project, user)})
    record(
        "vm.create",
        subject=vm.subject,
        subject_name=vm.name,
        project=project,
        details={
            "provider": provider.name,
            "vcpus": spec.vcpus,
            "memory_mib": spec.memory_mib,
            "image": str(image) if image else "",
        },
    )
    job = jobs.start(
        "vm.create",
        title=f"Create “{vm.name}”",
        subject=vm.subject,
        subject_name=vm.name,
        doing="Creating",
        place=provider.place,
        project=project,
        user=user,
        params={"spec": seal({"spec": json.dumps(spec.model_dump(mode="json"))})},
        form=form,
    )
    publish(vm.subject, project_id=project.pk, topic="created")
    return vm, job


def _marks(provider: Provider, project: Project, user: User) -> dict[str, str]:
    """Whose it is, for people who meet the machine at the provider: a cloud's bill is read there."""
    reshape = provider.can.reshape
    return {"project": project.name, "owner": user.username} if reshape and reshape.metadata else {}


def start_job(
    vm: VirtualMachine,
    kind: str,
    *,
    verb: str,
    doing: str,
    user: User | None,
    params: dict[str, Any] | None = None,
    is_background: bool = False,
) -> Job:
    """One transaction: the audit entry and the job; a second press while one is active returns that one.

    `verb` begins the job's title, before the machine's name: "Start", "Grow disk vda of".
    """
    with transaction.atomic():
        job = jobs.start(
            kind,
            title=f"{verb} “{vm.name}”",
            subject=vm.subject,
            subject_name=vm.name,
            doing=doing,
            place=vm.provider.place,
            project_id=vm.project_id,
            user=user,
            params=params,
            is_background=is_background,
        )
        record(kind, subject=vm.subject, subject_name=vm.name, project_id=vm.project_id, details=params)
    return job


def start(vm: VirtualMachine, *, user: User | None = None) -> Job:
    return start_job(vm, "vm.start", verb="Start", doing="Starting", user=user)


def stop(vm: VirtualMachine, *, user: User | None = None) -> Job:
    """Ask the guest to shut down; after a minute pull the plug."""
    return start_job(vm, "vm.stop", verb="Stop", doing="Stopping", user=user, params={"force": False})


def force_stop(vm: VirtualMachine, *, user: User | None = None) -> Job:
    return start_job(vm, "vm.stop", verb="Force off", doing="Stopping", user=user, params={"force": True})


def restart(vm: VirtualMachine, *, user: User | None = None) -> Job:
    return start_job(vm, "vm.restart", verb="Restart", doing="Restarting", user=user, params={"force": False})


def reset(vm: VirtualMachine, *, user: User | None = None) -> Job:
    return start_job(vm, "vm.restart", verb="Reset", doing="Resetting", user=user, params={"force": True})


def pause(vm: VirtualMachine, *, user: User | None = None) -> Job:
    return start_job(vm, "vm.pause", verb="Pause", doing="Pausing", user=user)


def resume(vm: VirtualMachine, *, user: User | None = None) -> Job:
    return start_job(vm, "vm.resume", verb="Resume", doing="Resuming", user=user)


def refresh(vm: VirtualMachine, *, user: User | None = None) -> Job:
    """Read the machine anew from its provider, in full."""
    return start_job(vm, "vm.refresh", verb="Read", doing="Reading", user=user)


def delete(
    vm: VirtualMachine, *, user: User | None = None, with_snapshots: bool = True, keep_disks: bool = False
) -> Job:
    """Delete the machine and its own disks, which stay with `keep_disks`."""
    params = {"with_snapshots": with_snapshots, "keep_disks": keep_disks}
    return start_job(vm, "vm.delete", verb="Delete", doing="Deleting", user=user, params=params)


def rename(vm: VirtualMachine, *, user: User | None = None, name: str) -> Job:
    return start_job(vm, "vm.rename", verb="Rename", doing="Renaming", user=user, params={"name": name})


@transaction.atomic
def dismiss(vm: VirtualMachine, *, user: User | None = None) -> VirtualMachine:
    """Take a row away whose machine was never made or is not there any more."""
    vm.presence = Presence.DELETED
    vm.save(update_fields=["presence"])
    record("vm.dismiss", subject=vm.subject, subject_name=vm.name, actor=user, project_id=vm.project_id)
    publish(vm.subject, project_id=vm.project_id, topic="gone")
    return vm


@transaction.atomic
def dismiss_problem(vm: VirtualMachine, *, user: User | None = None) -> None:
    """Take away the note of what failed; the machine itself stays as it is."""
    vm.problem, vm.problem_job = "", None
    vm.save(update_fields=["problem", "problem_job"])
    record("vm.dismiss_problem", subject=vm.subject, subject_name=vm.name, actor=user, project_id=vm.project_id)
    publish(vm.subject, project_id=vm.project_id)


@transaction.atomic
def set_description(vm: VirtualMachine, *, description: str, user: User | None = None) -> None:
    """The portal's own note about the machine; the provider is not asked."""
    vm.description = description
    vm.save(update_fields=["description"])
    record("vm.describe", subject=vm.subject, subject_name=vm.name, actor=user, project_id=vm.project_id)
    publish(vm.subject, project_id=vm.project_id)


@transaction.atomic
def assign(vm: VirtualMachine, *, project: Project, user: User | None = None) -> None:
    """Hand a machine to a project; both projects' pages hear of it."""
    before = vm.project_id
    vm.project = project
    vm.save(update_fields=["project"])
    record("vm.assign", subject=vm.subject, subject_name=vm.name, actor=user, project=project, details={"from": before})
    publish(vm.subject, project_id=before, topic="gone")
    publish(vm.subject, project_id=project.pk, topic="created")
