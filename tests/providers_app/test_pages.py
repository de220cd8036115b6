"""Pages of providers: administrators add, check, change and remove them; to others they do not exist."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import Project, User
from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import Job
from providers import registry, services
from providers.models import Health, Provider
from providers.registry import plugin
from providers.views import _in_words
from tests.conftest import MakeVm

SignIn = Callable[[User], Client]
RunJobs = Callable[[], list[Job]]


@pytest.fixture
def admin(root: User, client_of: SignIn) -> Client:
    return client_of(root)


def page(client: Client, provider: Provider) -> str:
    return client.get(f"/providers/{provider.uuid}/").content.decode()


GET = ["", "add", "add/fake", "{uuid}/", "{uuid}/body", "{uuid}/card", "{uuid}/edit", "{uuid}/ask/remove"]
POST = ["add/fake", "{uuid}/edit", "{uuid}/do/check", "{uuid}/do/disable", "{uuid}/do/remove"]


@pytest.mark.parametrize("path", GET)
def test_an_administrator_sees_the_page_and_a_member_gets_404(
    path: str, admin: Client, alice: User, client_of: SignIn, fake_provider: Provider
) -> None:
    address = "/providers/" + path.format(uuid=fake_provider.uuid)
    assert admin.get(address).status_code == 200
    assert client_of(alice).get(address).status_code == 404


@pytest.mark.parametrize("path", POST)
def test_a_member_changes_nothing(path: str, alice: User, client_of: SignIn, fake_provider: Provider) -> None:
    answer = client_of(alice).post("/providers/" + path.format(uuid=fake_provider.uuid), {"typed": "Testville"})
    assert answer.status_code == 404
    assert Provider.objects.get().is_enabled
    assert not Job.objects.exists()


def test_nothing_changes_by_reading(admin: Client, fake_provider: Provider) -> None:
    for action in ("check", "enable", "disable", "remove"):
        assert admin.get(f"/providers/{fake_provider.uuid}/do/{action}").status_code == 405


def test_a_provider_is_added_checked_and_read(admin: Client, tmp_path: Path, run_jobs: RunJobs) -> None:
    answer = admin.post("/providers/add/fake", _fake(tmp_path))
    provider = Provider.objects.get(name="Sandbox")
    assert answer.url == f"/providers/{provider.uuid}/"  # type: ignore[attr-defined]
    assert "Its connection is being checked." in page(admin, provider)
    run_jobs()
    shown = page(admin, provider)
    assert "The portal is connected and can do everything below." in shown
    assert "Snapshots" in shown
    assert "debian" in shown
    assert Provider.objects.get().host["flavors"]
    assert AuditEntry.objects.filter(verb="provider.add", actor__username="root").exists()


def _fake(tmp_path: Path, **changes: str) -> dict[str, str]:
    """A POST as the page of the kind "fake" sends it: with its defaults."""
    numbers = {"start_s": "0", "stop_s": "0", "create_s": "0", "lease_s": "0", "slow_s": "0", "hang_s": "0"}
    numbers |= {"cpus": "8", "memory_mib": "8192", "storage_gib": "100"}
    values = {"path": str(tmp_path / "sandbox.sqlite3"), **numbers, "demo": "on", **changes}
    return {"name": "Sandbox", **{f"config_{name}": value for name, value in values.items()}}


def test_a_wrong_form_says_so_and_adds_nothing(admin: Client, tmp_path: Path) -> None:
    answer = admin.post("/providers/add/fake", _fake(tmp_path, cpus="-1", password="hunter2") | {"name": ""})
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert "Give it a name." in shown
    assert "At least 0." in shown
    assert "hunter2" not in shown
    assert not Provider.objects.exists()


def test_an_unknown_kind_is_answered_with_a_sentence(admin: Client) -> None:
    shown = admin.get("/providers/add/abacus", follow=True).content.decode()
    assert "There is no provider kind “abacus”" in shown


def test_a_broken_kind_is_shown_with_its_reason(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "broken", lambda: {"acme": "ImportError: no acme"})
    shown = admin.get("/providers/add").content.decode()
    assert "Installed, but not usable" in shown
    assert "ImportError: no acme" in shown


def test_wrong_credentials_are_a_sentence_with_advice(admin: Client, tmp_path: Path, run_jobs: RunJobs) -> None:
    admin.post("/providers/add/fake", _fake(tmp_path, username="me", password="right one"))
    run_jobs()
    provider = Provider.objects.get()
    admin.post(f"/providers/{provider.uuid}/edit", _fake(tmp_path, username="me", password="wrong one"))
    run_jobs()
    provider.refresh_from_db()
    shown = page(admin, provider)
    assert provider.health_code == "authentication_failed"
    assert "Refuses the credentials" in shown
    assert "Enter the credentials again" in shown
    assert "wrong one" not in shown


@pytest.mark.skipif("kvm" not in registry.plugins(), reason="the kind kvm is not here")
def test_a_host_that_is_not_there_is_answered_within_five_seconds(admin: Client, run_jobs: RunJobs) -> None:
    pytest.importorskip("libvirt")
    # Nothing listens on port 1 of this machine.
    config = plugin("kvm").config.read({"uri": "qemu+tcp://127.0.0.1:1/system"})
    provider = services.add(kind="kvm", name="Nowhere", config=config)
    began = time.monotonic()
    run_jobs()
    assert time.monotonic() - began < 5
    shown = page(admin, provider)
    assert "Not reachable" in shown
    assert "See that it runs" in shown


def test_a_kind_that_was_taken_away_can_still_be_seen_and_removed(admin: Client, run_jobs: RunJobs) -> None:
    provider = Provider.objects.create(kind="abacus", name="Old one", capabilities={})
    services.check(provider)
    run_jobs()
    shown = page(admin, provider)
    assert "There is no provider kind “abacus”" in shown
    assert "(not installed)" in shown
    assert admin.get(f"/providers/{provider.uuid}/edit", follow=True).status_code == 200
    admin.post(f"/providers/{provider.uuid}/do/remove", {"typed": "Old one"})
    assert not Provider.objects.exists()


def test_editing_keeps_the_password_that_is_left_empty(admin: Client, tmp_path: Path, run_jobs: RunJobs) -> None:
    admin.post("/providers/add/fake", _fake(tmp_path, username="me", password="right one"))
    run_jobs()
    provider = Provider.objects.get()
    admin.post(f"/providers/{provider.uuid}/edit", _fake(tmp_path, username="me") | {"name": "Renamed"})
    run_jobs()
    provider.refresh_from_db()
    assert (provider.name, provider.health) == ("Renamed", Health.OK)


def test_how_many_jobs_run_at_once_is_the_administrators_choice(admin: Client, tmp_path: Path) -> None:
    admin.post("/providers/add/fake", _fake(tmp_path) | {"max_parallel": "2"})
    provider = Provider.objects.get()
    assert (provider.max_parallel, provider.place.limit) == (2, 2)
    address = f"/providers/{provider.uuid}/edit"
    answer = admin.post(address, _fake(tmp_path) | {"max_parallel": "0"})
    assert "At least 1." in answer.content.decode()
    # Left empty it stays.
    admin.post(address, _fake(tmp_path))
    provider.refresh_from_db()
    assert provider.max_parallel == 2


def test_disabling_and_enabling(admin: Client, fake_provider: Provider) -> None:
    admin.post(f"/providers/{fake_provider.uuid}/do/disable")
    assert not Provider.objects.get().is_enabled
    assert "It is disabled" in page(admin, fake_provider)
    admin.post(f"/providers/{fake_provider.uuid}/do/check")
    assert not Job.objects.exists()
    admin.post(f"/providers/{fake_provider.uuid}/do/enable")
    assert Provider.objects.get().is_enabled
    assert Job.objects.get().kind == "provider.check"


def test_removing_asks_for_the_name_and_says_what_goes(admin: Client, fake_provider: Provider, make_vm: MakeVm) -> None:
    make_vm()
    make_vm()
    address = f"/providers/{fake_provider.uuid}"
    asked = admin.get(f"{address}/ask/remove").content.decode()
    assert "2 machines</b> will disappear from the portal" in asked
    assert "Nothing is touched at the provider itself" in asked
    admin.post(f"{address}/do/remove", {"typed": "testvill"})
    assert Provider.objects.exists()
    answer: Any = admin.post(f"{address}/do/remove", {"typed": "Testville"})
    assert answer.url == "/providers/"
    assert not Provider.objects.exists()


def test_a_provider_is_opened_to_chosen_projects(admin: Client, tmp_path: Path, project: Project) -> None:
    admin.post("/providers/add/fake", _fake(tmp_path) | {"projects": str(project.pk)})
    assert list(Provider.objects.get().projects.all()) == [project]
    assert project.name in page(admin, Provider.objects.get())


def test_settings_never_show_a_secret(admin: Client, tmp_path: Path) -> None:
    admin.post("/providers/add/fake", _fake(tmp_path, username="me", password="right one"))
    provider = Provider.objects.get()
    everything = page(admin, provider) + admin.get(f"/providers/{provider.uuid}/edit").content.decode()
    assert "right one" not in everything
    assert "right one" not in str(provider.config)


def test_a_value_of_many_lines_is_told_as_given_and_not_spread_over_the_page() -> None:
    assert _in_words("one") == "one"
    assert _in_words("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n") == "given (3 lines)"
