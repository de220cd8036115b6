"""What changes users and projects."""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from kvweb.accounts.models import Membership, Project, Role, SshKey, User
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


def sweep_sessions() -> int:
    """Delete sessions that have expired, which the browser forgot long ago; returns how many."""
    swept, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return swept


@transaction.atomic
def add_ssh_key(user: User, *, name: str, public_key: str) -> None:
    """Keep a public key for later machines; a key that is kept already under any name is left alone."""
    if user.ssh_keys.filter(public_key=public_key).exists():
        return
    taken = set(user.ssh_keys.values_list("name", flat=True))
    names = (name, *(f"{name[:70]} {number}" for number in range(2, len(taken) + 3)))
    free = next(each for each in names if each not in taken)
    user.ssh_keys.create(name=free, public_key=public_key)
    record("key.add", subject=f"user:{user.uuid}", subject_name=free, actor=user)


class NotDone(Exception):
    """A change of people or projects that may not be made; the message is the sentence for the page."""


@transaction.atomic
def remove_ssh_key(key: SshKey, *, user: User) -> None:
    """Take a key out of the account; machines that have it keep it."""
    record("key.remove", subject=f"user:{user.uuid}", subject_name=key.name, actor=user)
    key.delete()


@transaction.atomic
def create_project(*, name: str, description: str = "", user: User) -> Project:
    project = Project.objects.create(name=name, description=description)
    record("project.create", subject=f"project:{project.uuid}", subject_name=name, actor=user, project=project)
    return project


@transaction.atomic
def change_project(project: Project, *, name: str, description: str, user: User) -> None:
    before = project.name
    project.name, project.description = name, description
    project.save(update_fields=["name", "description"])
    record(
        "project.change",
        subject=f"project:{project.uuid}",
        subject_name=name,
        actor=user,
        project=project,
        details={"before": before} if before != name else None,
    )


@transaction.atomic
def add_member(project: Project, *, person: User, role: str, user: User) -> Membership:
    """Let a person in; raises NotDone when they are in already."""
    if Membership.objects.filter(project=project, user=person).exists():
        raise NotDone(f"“{person.username}” is a member already; change the role in the list.")
    membership = Membership.objects.create(project=project, user=person, role=role)
    _record_member("project.add_member", membership, user=user)
    return membership


@transaction.atomic
def change_role(membership: Membership, *, role: str, user: User) -> None:
    if membership.role == role:
        return
    if role != Role.MANAGER:
        _keep_a_manager(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    _record_member("project.change_role", membership, user=user)


@transaction.atomic
def remove_member(membership: Membership, *, user: User) -> None:
    """End a membership; the machines stay with the project."""
    _keep_a_manager(membership)
    _record_member("project.remove_member", membership, user=user)
    membership.delete()


def _keep_a_manager(membership: Membership) -> None:
    """A project without a manager could only be helped by an administrator. Rows are locked: two may leave at once."""
    managers = Membership.objects.select_for_update().filter(project=membership.project, role=Role.MANAGER)
    if membership.role == Role.MANAGER and len(managers) == 1:
        raise NotDone("This is the last manager; make somebody else a manager first.")


def _record_member(verb: str, membership: Membership, *, user: User) -> None:
    record(
        verb,
        subject=f"project:{membership.project.uuid}",
        subject_name=membership.project.name,
        actor=user,
        project=membership.project,
        details={"person": membership.user.username, "role": membership.role},
    )


@transaction.atomic
def create_user(*, username: str, email: str, password: str, is_administrator: bool, user: User) -> User:
    """A new person with a first password, which they should change."""
    person = User.objects.create_user(username, email, password)
    if is_administrator:
        person.is_superuser = person.is_staff = True
        person.save(update_fields=["is_superuser", "is_staff"])
    record(
        "user.create",
        subject=f"user:{person.uuid}",
        subject_name=username,
        actor=user,
        details={"administrator": is_administrator},
    )
    return person


@transaction.atomic
def set_user_active(person: User, *, is_active: bool, user: User) -> None:
    """Keep a person out or let them in again. Whoever is signed in is out with their next request."""
    if person == user and not is_active:
        raise NotDone("You cannot disable yourself; another administrator can.")
    person.is_active = is_active
    person.save(update_fields=["is_active"])
    record(
        "user.enable" if is_active else "user.disable",
        subject=f"user:{person.uuid}",
        subject_name=str(person),
        actor=user,
    )


@transaction.atomic
def set_administrator(person: User, *, is_administrator: bool, user: User) -> None:
    if person == user and not is_administrator:
        raise NotDone("You cannot take your own rights away; another administrator can.")
    person.is_superuser = person.is_staff = is_administrator
    person.save(update_fields=["is_superuser", "is_staff"])
    verb = "user.make_administrator" if is_administrator else "user.unmake_administrator"
    record(verb, subject=f"user:{person.uuid}", subject_name=str(person), actor=user)


@transaction.atomic
def set_password(person: User, *, password: str, user: User) -> None:
    """A new first password, for somebody who forgot theirs; their sessions end."""
    person.set_password(password)
    person.save(update_fields=["password"])
    record("user.set_password", subject=f"user:{person.uuid}", subject_name=str(person), actor=user)
