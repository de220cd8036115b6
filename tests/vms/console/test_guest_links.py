"""A guest link opens one console of one machine to who shows its secret, until it expires or is taken back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from kvweb.accounts.models import Membership, Role, User
from kvweb.audit.models import AuditEntry
from tests.conftest import MakeVm
from tests.vms.console.browser import Browser
from tests.vms.console.conftest import Stage
from tests.vms.console.test_proxy import eventually
from vms.console import guest_links
from vms.console.closing import Code
from vms.models import ConsoleGrant, ConsoleSession, GuestLink, VirtualMachine

ClientOf = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _no_attempts(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    cache.clear()


@pytest.fixture
def vm(make_vm: MakeVm) -> VirtualMachine:
    return make_vm(power="running", name="web-1")


def made(vm: VirtualMachine, user: User, kind: str = "serial", **values: Any) -> guest_links.Made:
    return guest_links.create(vm, user=user, **{"kind": kind, "hours": 4, "guest_name": "Gina", **values})


def enter(link: guest_links.Made, secret: str | None = None, client: Client | None = None) -> Client:
    client = client or Client()
    client.post(f"/guest/{link.link.uuid}/enter", {"secret": link.secret if secret is None else secret})
    return client


def grant_of(client: Client, link: guest_links.Made) -> Any:
    return client.post(f"/guest/{link.link.uuid}/grant")


@pytest.mark.django_db
def test_an_owner_makes_one_and_its_secret_is_shown_once(vm: VirtualMachine, alice: User, client_of: ClientOf) -> None:
    client = client_of(alice)
    page = client.post(f"/vms/{vm.uuid}/guests", {"guest_name": "Gina", "kind": "vnc", "hours": "4"})
    found = re.search(r"/guest/([0-9a-f-]{36})#([\w-]{43})", page.content.decode())
    assert found
    link = GuestLink.objects.get()
    assert (str(link.uuid), link.guest_name, link.kind, link.may_type) == (found[1], "Gina", "vnc", False)
    assert found[2] not in str(link.__dict__)
    assert timedelta(hours=3.9) < link.expires_at - timezone.now() < timedelta(hours=4.1)
    again = client.get(f"/vms/{vm.uuid}/guests").content.decode()
    assert "Gina" in again
    assert found[2] not in again
    entry = AuditEntry.objects.get(verb="vm.guest_link.created")
    assert (entry.actor, entry.details["guest"]) == (alice, "Gina")
    assert found[2] not in str(entry.details)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong", [{"kind": "spice"}, {"hours": "9000"}, {"hours": "-1"}, {"guest_name": " "}, {"kind": ""}]
)
def test_a_wish_that_is_wrong_makes_none(
    wrong: dict[str, str], vm: VirtualMachine, alice: User, client_of: ClientOf
) -> None:
    sent = {"guest_name": "Gina", "kind": "vnc", "hours": "4", **wrong}
    assert client_of(alice).post(f"/vms/{vm.uuid}/guests", sent).status_code == 422
    assert not GuestLink.objects.exists()


@pytest.mark.django_db
def test_who_shows_the_secret_sees_the_console_and_nothing_else(vm: VirtualMachine, alice: User) -> None:
    link = made(vm, alice)
    door = Client().get(f"/guest/{link.link.uuid}").content.decode()
    assert "data-guest-door" in door
    assert "web-1" not in door
    client = enter(link)
    page = client.get(f"/guest/{link.link.uuid}").content.decode()
    assert 'data-console="serial"' in page
    assert f"/guest/{link.link.uuid}/grant" in page
    # Nothing on it leads to the rest of the portal, and nothing there would open.
    assert f"/vms/{vm.uuid}" not in page
    for address in (f"/vms/{vm.uuid}/", "/vms/", "/", "/consoles/", f"/vms/{vm.uuid}/serial-log"):
        assert client.get(address).status_code == 302
    told = grant_of(client, link).json()
    assert (told["view_only"], ConsoleGrant.objects.get().user) == (True, None)
    assert client.post(f"/vms/{vm.uuid}/console/serial/grant").status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    "what", ["expired", "revoked", "left", "demoted", "gone", "secret", "another link", "no secret"]
)
def test_a_link_that_does_not_work_says_always_the_same(
    what: str, vm: VirtualMachine, make_vm: MakeVm, alice: User
) -> None:
    link, other = made(vm, alice), made(make_vm(power="running"), alice)
    client = enter(link)
    secret = link.secret
    match what:
        case "expired":
            GuestLink.objects.update(expires_at=timezone.now())
        case "revoked":
            guest_links.revoke(link.link, user=alice)
        case "left":
            Membership.objects.filter(user=alice).delete()
        case "demoted":
            Membership.objects.filter(user=alice).update(role=Role.OPERATOR)
        case "gone":
            GuestLink.objects.filter(pk=link.link.pk).delete()
        case "secret":
            client, secret = Client(), "guessed"
        case "another link":
            client, secret = enter(other), other.secret
        case _:
            client, secret = Client(), ""
    address = f"/guest/{link.link.uuid}"
    assert "data-guest-door" in client.get(address).content.decode()
    refused = client.post(f"{address}/enter", {"secret": secret})
    assert (refused.status_code, refused.json()["sentence"]) == (403, grant_of(client, link).json()["sentence"])
    assert not ConsoleGrant.objects.exists()


@pytest.mark.django_db
def test_guessing_is_slowed_down(vm: VirtualMachine, alice: User) -> None:
    link = made(vm, alice)
    client = Client()
    answers = [client.post(f"/guest/{link.link.uuid}/enter", {"secret": "x"}).status_code for _ in range(22)]
    assert answers == [403] * 20 + [429] * 2
    assert client.post(f"/guest/{link.link.uuid}/enter", {"secret": link.secret}).status_code == 429


@pytest.mark.django_db
def test_a_link_is_taken_back_by_whom_it_concerns(
    vm: VirtualMachine, make_vm: MakeVm, alice: User, bob: User, charlie: User, client_of: ClientOf
) -> None:
    link = made(vm, alice)
    address = f"/vms/{vm.uuid}/guests/{link.link.uuid}/revoke"
    assert client_of(charlie).post(address).status_code == 404
    assert client_of(bob).post(address).status_code == 403
    assert client_of(alice).post(address.replace(str(vm.uuid), str(make_vm().uuid))).status_code == 404
    assert GuestLink.objects.get().is_valid
    assert client_of(alice).post(address).status_code == 302
    assert not GuestLink.objects.get().is_valid
    assert AuditEntry.objects.filter(verb="vm.guest_link.revoked", actor=alice).exists()


# -- through the console service ---------------------------------------------------------------------------------------


def at_console(stage: Stage, client: Client, link: guest_links.Made, session_key: str | None = None) -> Browser:
    told = grant_of(client, link).json()
    return stage.browser().open(told["path"], told["token"], session_key or str(client.session.session_key))


@pytest.mark.django_db(transaction=True)
def test_a_guest_watches_until_the_link_is_taken_back(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Any
) -> None:
    link = made(running_vm, alice)
    owner = stage.open(running_vm, alice).wait_open()
    client = enter(link)
    guest = at_console(stage, client, link).wait_open()
    guest.send(b"from a guest")
    owner.send(b"from the owner")
    assert guest.read(14) == b"from the owner"
    assert machine.got == b"from the owner"
    people = [said for said in guest.said if said["type"] == "people"][-1]["people"]
    assert [(one["name"], one["guest"]) for one in people] == [(str(alice), False), ("Gina", True)]
    assert eventually(lambda: ConsoleSession.objects.filter(guest_link=link.link).exists())
    assert ConsoleSession.objects.get(guest_link=link.link).who == "Gina (guest)"
    assert eventually(lambda: AuditEntry.objects.filter(actor_name="Gina (guest)").exists())
    assert AuditEntry.objects.get(actor_name="Gina (guest)").details["guest_of"] == alice.username
    guest_links.revoke(link.link, user=alice)
    assert guest.wait_closed() == Code.NOT_ALLOWED
    assert guest.close_reason == "The guest link was taken back."
    owner.send(b"!")
    assert owner.read(1)


@pytest.mark.django_db(transaction=True)
def test_a_guest_is_told_when_the_link_ends_and_is_closed_then(
    stage: Stage, running_vm: VirtualMachine, alice: User
) -> None:
    link = made(running_vm, alice, hours=2)
    guest = at_console(stage, enter(link), link).wait_open()
    assert 7100 < next(said for said in guest.said if said["type"] == "open")["life_s"] <= 7200
    GuestLink.objects.update(expires_at=timezone.now())
    began = time.monotonic()
    assert guest.wait_closed() == Code.NOT_ALLOWED
    assert guest.close_reason == "This guest link does not work any more."
    assert time.monotonic() - began < 6


@pytest.mark.django_db(transaction=True)
def test_a_guests_grant_is_bound_to_session_and_number(
    stage: Stage, running_vm: VirtualMachine, alice: User, bob: User, machine: Any, settings: Any
) -> None:
    settings.CONSOLES_PER_GUEST_LINK = 1
    link = made(running_vm, alice, may_type=True)
    client = enter(link)
    assert at_console(stage, client, link, stage.session_of(bob)).wait_closed() == Code.NO_SESSION
    assert at_console(stage, client, link, "0" * 32).wait_closed() == Code.NO_SESSION
    guest = at_console(stage, client, link).wait_open()
    guest.send(b"let in")
    assert machine.wait_for(lambda: machine.got == b"let in")
    second = at_console(stage, client, link)
    assert second.wait_closed() == Code.TOO_MANY
    assert second.close_reason == "This guest link has 1 console open, which is the most. Close one."
    # A link is worth no more than the right of who made it.
    Membership.objects.filter(user=alice).delete()
    assert guest.wait_closed() == Code.NOT_ALLOWED


@pytest.mark.django_db
def test_links_long_over_are_swept_and_their_sessions_still_say_who(vm: VirtualMachine, alice: User) -> None:
    old, taken_back, fresh = (made(vm, alice).link for _ in range(3))
    long_ago = timezone.now() - timedelta(days=91)
    GuestLink.objects.filter(pk=old.pk).update(expires_at=long_ago)
    GuestLink.objects.filter(pk=taken_back.pk).update(revoked_at=long_ago)
    ConsoleSession.objects.create(vm=vm, guest_link=old, who="Gina", kind="serial", active_at=long_ago)
    assert guest_links.sweep() == 2
    assert list(GuestLink.objects.all()) == [fresh]
    session = ConsoleSession.objects.get()
    assert (session.who, session.guest_link) == ("Gina", None)
