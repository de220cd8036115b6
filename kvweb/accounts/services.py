"""What changes users and projects."""

from __future__ import annotations

from django.db import transaction

from kvweb.accounts.models import Membership, Project, Role, User
from kvweb.audit.services import record

UNASSIGNED_NAME = "Unassigned"


@transaction.atomic
def create_first_people(*, username: str, password: str, project_name: str) -> tuple[User, Project]:
    """The first administrator and the first project, as manager of it; run once at set-up."""
    user = User.objects.create_superuser(username=username, password=password)
    project = Project.objects.create(name=project_name, description="The first project.")
    Membership.objects.create(user=user, project=project, role=Role.MANAGER)
    record("project.create", subject=f"project:{project.uuid}", actor=user, project=project)
    return user, project


def unassigned_project() -> Project:
    """Where machines go that were found at a provider and belong to nobody yet."""
    project, _ = Project.objects.get_or_create(
        is_unassigned=True,
        defaults={"name": UNASSIGNED_NAME, "description": "Machines found at a provider, to be handed to a project."},
    )
    return project


def add_ssh_key(user: User, *, name: str, public_key: str) -> None:
    """Keep a public key for later machines; a key that is kept already under any name is left alone."""
    if not user.ssh_keys.filter(public_key=public_key).exists():
        taken = set(user.ssh_keys.values_list("name", flat=True))
        free = (
            name if name not in taken else next(f"{name} {n}" for n in range(2, 10_000) if f"{name} {n}" not in taken)
        )
        user.ssh_keys.create(name=free, public_key=public_key)
