"""Signing in, keys, projects and people: each page does its one thing, and only for those who may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from kvweb.accounts import services
from kvweb.accounts.models import Membership, Project, Role, User
from kvweb.audit.models import AuditEntry
from tests.conftest import PASSWORD

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
SignIn = Callable[[User], Client]


@pytest.fixture
def maria(project: Project) -> User:
    """Manager of the project."""
    user = User.objects.create_user("maria", "maria@example.org", PASSWORD)
    Membership.objects.create(user=user, project=project, role=Role.MANAGER)
    return user


# -- signing in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["alice", "alice@example.org"])
def test_one_signs_in_by_name_or_address(login: str, alice: User, client: Client) -> None:
    answer: Any = client.post("/accounts/login/", {"login": login, "password": PASSWORD})
    assert (answer.status_code, answer.url) == (302, "/")


def test_a_wrong_password_says_nothing_about_the_name(alice: User, client: Client) -> None:
    texts = {
        client.post("/accounts/login/", {"login": name, "password": "wrong"}).context["form"].non_field_errors()[0]
        for name in ("alice", "nobody-at-all")
    }
    assert len(texts) == 1


def test_one_lands_on_the_page_that_was_asked_for(alice: User, client: Client) -> None:
    answer: Any = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "next": "/vms/create"})
    assert answer.url == "/vms/create"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_nobody_is_led_away_after_signing_in(target: str, alice: User, client: Client) -> None:
    answer: Any = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "next": target})
    assert answer.url == "/"


def test_somebody_who_is_disabled_is_out(alice: User, client: Client) -> None:
    client.force_login(alice)
    User.objects.update(is_active=False)
    assert client.get("/account/keys").status_code == 302
    answer: Any = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    assert answer.url == "/accounts/inactive/"


def test_remember_me_decides_how_long_the_session_lasts(alice: User) -> None:
    for remember, expires_with_the_browser in (("", True), ("on", False)):
        client = Client()
        client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "remember": remember})
        assert client.session.get_expire_at_browser_close() is expires_with_the_browser


@pytest.mark.parametrize("path", ["login/", "password/reset/", "password/reset/done/", "signup/", "inactive/"])
def test_pages_before_signing_in_open(path: str, db: None, client: Client) -> None:
    answer = client.get(f"/accounts/{path}")
    assert answer.status_code == 200
    assert "<h1>" in answer.content.decode() or "manage-title" in answer.content.decode()


@pytest.mark.parametrize("path", ["password/change/", "email/", "2fa/", "logout/"])
def test_pages_of_the_account_open(path: str, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).get(f"/accounts/{path}")
    assert answer.status_code == 200
    assert "kvweb" in answer.content.decode()


def test_setting_up_a_second_factor_asks_for_the_password_and_shows_its_picture(alice: User, client_of: SignIn) -> None:
    client, address = client_of(alice), "/accounts/2fa/totp/activate/"
    asked = client.get(address, follow=True)
    assert "/accounts/reauthenticate/" in asked.redirect_chain[0][0]
    page = client.post(asked.redirect_chain[0][0], {"password": PASSWORD, "next": address}, follow=True)
    assert 'class="qr" src="data:image/svg+xml' in page.content.decode()


def test_signing_out_asks_first(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    client.get("/accounts/logout/")
    assert "_auth_user_id" in client.session
    client.post("/accounts/logout/")
    assert "_auth_user_id" not in client.session


def test_a_session_that_has_expired_is_forgotten(alice: User, client_of: SignIn) -> None:
    for _ in range(2):
        client_of(alice)
    old = Session.objects.first()
    assert old is not None
    Session.objects.filter(pk=old.pk).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert services.sweep_sessions() == 1
    assert Session.objects.count() == 1


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_key_is_added_and_shown_with_its_fingerprint(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    client.post("/account/keys", {"public_key": f"{KEY} laptop"})
    page = client.get("/account/keys").content.decode()
    assert "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU" in page
    assert alice.ssh_keys.get().name == "laptop"
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.subject_name) == ("key.add", alice, "laptop")


def test_two_keys_of_one_long_name_are_told_apart(alice: User) -> None:
    for text in ("one", "two", "three"):
        services.add_ssh_key(alice, name="x" * 80, public_key=text)
    names = [key.name for key in alice.ssh_keys.all()]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= 80


def test_the_same_key_twice_is_said_so(alice: User, client_of: SignIn) -> None:
    alice.ssh_keys.create(name="one", public_key=f"{KEY} one")
    answer = client_of(alice).post("/account/keys", {"public_key": f"{KEY} two"})
    assert answer.context["form"].errors["public_key"] == ["This key is in your account already, as “one”."]


def test_a_private_key_does_not_come_back(alice: User, client_of: SignIn) -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\nTOPSECRET\n-----END RSA PRIVATE KEY-----"
    answer = client_of(alice).post("/account/keys", {"public_key": text})
    assert answer.status_code == 422
    assert "TOPSECRET" not in answer.content.decode()


def test_one_removes_only_ones_own_keys(alice: User, bob: User, client_of: SignIn) -> None:
    key = alice.ssh_keys.create(name="one", public_key=KEY)
    assert client_of(bob).post(f"/account/keys/{key.pk}/remove").status_code == 404
    assert client_of(alice).get(f"/account/keys/{key.pk}/remove").status_code == 405
    client_of(alice).post(f"/account/keys/{key.pk}/remove")
    assert not alice.ssh_keys.exists()


# -- projects ----------------------------------------------------------------------------------------------------------


def test_one_sees_ones_own_projects(alice: User, charlie: User, client_of: SignIn) -> None:
    page = client_of(alice).get("/projects/").content.decode()
    assert "Harbour" in page
    assert "Elsewhere" not in page


def test_a_strangers_project_is_404(charlie: User, project: Project, client_of: SignIn) -> None:
    address = f"/projects/{project.uuid}/"
    client = client_of(charlie)
    assert client.get(address).status_code == 404
    assert client.post(f"{address}members/add", {"username": "charlie", "role": "manager"}).status_code == 404


def test_a_member_sees_who_is_in_and_changes_nothing(alice: User, project: Project, client_of: SignIn) -> None:
    client, membership = client_of(alice), Membership.objects.get(user=alice)
    page = client.get(f"/projects/{project.uuid}/").content.decode()
    assert "alice" in page
    assert "Add somebody" not in page
    for action in ("members/add", f"members/{membership.pk}/role", f"members/{membership.pk}/remove", "change"):
        assert client.post(f"/projects/{project.uuid}/{action}", {"role": "manager"}).status_code == 403
    assert Membership.objects.get(user=alice).role == Role.MEMBER


def test_a_manager_adds_changes_and_removes_members(
    maria: User, charlie: User, project: Project, client_of: SignIn
) -> None:
    client, address = client_of(maria), f"/projects/{project.uuid}/members"
    client.post(f"{address}/add", {"username": "Charlie", "role": "viewer"})
    membership = Membership.objects.get(user=charlie, project=project)
    client.post(f"{address}/{membership.pk}/role", {"role": "operator"})
    membership.refresh_from_db()
    assert membership.role == Role.OPERATOR
    client.post(f"{address}/{membership.pk}/remove")
    assert not Membership.objects.filter(user=charlie, project=project).exists()
    assert AuditEntry.objects.filter(actor=maria, verb__startswith="project.").count() == 3


@pytest.mark.parametrize(
    ("username", "says"),
    [
        ("nobody", "There is nobody with the user name “nobody”."),
        ("maria", "“maria” is a member already; change the role in the list."),
        ("", "Whom? Type a user name."),
    ],
)
def test_adding_somebody_who_cannot_be_added_says_why(
    username: str, says: str, maria: User, project: Project, client_of: SignIn
) -> None:
    answer = client_of(maria).post(f"/projects/{project.uuid}/members/add", {"username": username, "role": "member"})
    assert answer.context["member_form"].errors["username"] == [says]


@pytest.mark.parametrize(("what", "values"), [("role", {"role": "viewer"}), ("remove", {})])
def test_the_last_manager_stays(
    what: str, values: dict[str, str], maria: User, project: Project, client_of: SignIn
) -> None:
    membership = Membership.objects.get(user=maria)
    answer = client_of(maria).post(f"/projects/{project.uuid}/members/{membership.pk}/{what}", values, follow=True)
    assert "This is the last manager; make somebody else a manager first." in answer.content.decode()
    assert Membership.objects.get(user=maria).role == Role.MANAGER


def test_a_role_that_does_not_exist_changes_nothing(maria: User, project: Project, client_of: SignIn) -> None:
    membership = Membership.objects.get(user=maria)
    client_of(maria).post(f"/projects/{project.uuid}/members/{membership.pk}/role", {"role": "emperor"})
    assert Membership.objects.get(user=maria).role == Role.MANAGER


def test_an_administrator_makes_and_renames_projects(root: User, client_of: SignIn) -> None:
    client = client_of(root)
    client.post("/projects/", {"name": "  New   one ", "description": "x"})
    made = Project.objects.get(name="New one")
    client.post(f"/projects/{made.uuid}/change", {"name": "Newer", "description": ""})
    assert Project.objects.get(pk=made.pk).name == "Newer"


def test_others_make_no_projects(maria: User, project: Project, client_of: SignIn) -> None:
    client = client_of(maria)
    assert client.post("/projects/", {"name": "Mine"}).status_code == 403
    assert client.post(f"/projects/{project.uuid}/change", {"name": "Mine"}).status_code == 403
    assert not Project.objects.filter(name="Mine").exists()


# -- people ------------------------------------------------------------------------------------------------------------

PERSON = {"username": "dora", "email": "dora@example.org", "password": "a long enough one"}


def test_an_administrator_lets_somebody_in(root: User, client: Client, client_of: SignIn) -> None:
    client_of(root).post("/people/", PERSON)
    answer: Any = client.post("/accounts/login/", {"login": "dora@example.org", "password": "a long enough one"})
    assert answer.url == "/"
    assert not User.objects.get(username="dora").is_superuser


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "ROOT"}, "username"),
        ({"username": "two words"}, "username"),
        ({"email": "root@example.org"}, "email"),
        ({"email": "nonsense"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
    ],
)
def test_a_wrong_person_is_refused_at_the_field(
    changes: dict[str, str], field: str, root: User, client_of: SignIn
) -> None:
    answer = client_of(root).post("/people/", {**PERSON, **changes})
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert User.objects.count() == 1


def test_a_person_is_disabled_and_let_in_again(root: User, alice: User, client_of: SignIn) -> None:
    client, hers = client_of(root), client_of(alice)
    client.post(f"/people/{alice.uuid}/do/disable")
    assert hers.get("/account/keys").status_code == 302
    client.post(f"/people/{alice.uuid}/do/enable")
    assert User.objects.get(pk=alice.pk).is_active


def test_an_administrator_cannot_lock_themselves_out(root: User, client_of: SignIn) -> None:
    client = client_of(root)
    for what in ("disable", "lower"):
        client.post(f"/people/{root.uuid}/do/{what}")
    root.refresh_from_db()
    assert (root.is_active, root.is_superuser) == (True, True)


def test_a_new_password_ends_the_old_sessions(root: User, alice: User, client_of: SignIn) -> None:
    hers = client_of(alice)
    client_of(root).post(f"/people/{alice.uuid}/do/password", {"password": "another long one"})
    assert hers.get("/account/keys").status_code == 302
    assert User.objects.get(pk=alice.pk).check_password("another long one")


@pytest.mark.parametrize("path", ["/people/", "/people/{uuid}/"])
def test_people_do_not_exist_for_others(path: str, maria: User, alice: User, client_of: SignIn) -> None:
    assert client_of(maria).get(path.format(uuid=alice.uuid)).status_code == 404
    assert client_of(maria).post(f"/people/{alice.uuid}/do/raise").status_code == 404
    assert not User.objects.get(pk=alice.pk).is_superuser
