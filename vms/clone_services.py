"""A second machine like one that exists, and an image of its first disk."""

from __future__ import annotations

from django.db import transaction

from kvweb.accounts.models import Project, User
from kvweb.events.services import publish
from kvweb.jobs.models import Job
from storage.models import Image
from vms.choices import Presence
from vms.models import VirtualMachine
from vms.services import start_job


@transaction.atomic
def clone(
    vm: VirtualMachine, *, user: User, name: str, project: Project | None = None, full: bool = True, start: bool = False
) -> Job:
    """Write the copy's row (wanted) and start the job that makes it.

    The job is about the machine that is copied, since nothing else may happen to that one meanwhile; the copy's row
    waits without a job of its own, and goes again when the job fails.
    """
    copy = VirtualMachine.objects.create(
        project=project or vm.project,
        provider=vm.provider,
        name=name,
        description=vm.description,
        created_by=user,
        presence=Presence.WANTED,
        image=vm.image,
        login=vm.login,
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib,
        disk_gib=vm.disk_gib,
        flavor=vm.flavor,
    )
    job = start_job(
        vm,
        "vm.clone",
        verb=f"Make clone “{name}” of",
        doing="Cloning",
        user=user,
        params={"uuid": str(copy.uuid), "name": name, "full": full, "start": start},
    )
    if job.params.get("uuid") != str(copy.uuid):
        # Another job of this machine was quicker.
        copy.delete()
        return job
    publish(copy.subject, project_id=copy.project_id, topic="created")
    return job


@transaction.atomic
def export_image(vm: VirtualMachine, *, user: User, name: str) -> Job:
    """Make an image of the machine's first disk, for the machine's project.

    Its row is there at once (wanted), so that what lies at the provider is nobody else's even while it is made.
    """
    image = Image.objects.create(
        provider=vm.provider,
        project=vm.project,
        name=name,
        os=vm.image.os if vm.image else "",
        default_user=vm.login or (vm.image.default_user if vm.image else ""),
        source=f"machine {vm.name}",
        created_by=user,
    )
    job = start_job(
        vm,
        "vm.export",
        verb=f"Make image “{name}” of",
        doing="Making an image",
        user=user,
        params={"name": name, "image": str(image.uuid)},
    )
    if job.params.get("image") != str(image.uuid):
        # Another job of this machine was quicker.
        image.delete()
        return job
    publish(image.subject, project_id=image.project_id, topic="created")
    return job
