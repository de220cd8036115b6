"""Nothing that was typed is lost: not by an ended session, not by a portal that is away, not by leaving unasked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from tests.conftest import PASSWORD
from vms.flavors import default_flavors
from vms.models import VirtualMachine

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

OpenPage = Callable[..., Any]


def sign_in_again(page: Any) -> None:
    """As the toast offers it: in a new tab."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in a new tab").click()
    tab = opened.value
    tab.fill("[name=login]", "alice")
    tab.fill("[name=password]", PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_load_state()
    tab.close()
    page.bring_to_front()
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.get_by_text("You are signed in again").wait_for()


def test_a_machine_is_made_with_what_was_typed_before_the_session_ended(
    fake_provider: Any, alice: User, open_page: OpenPage
) -> None:
    default_flavors()
    page = open_page(alice, "/vms/create")
    page.set_default_timeout(15_000)
    page.fill("[name=name]", "web-1")
    page.locator("label.choice", has_text="Empty machine").click()
    page.fill("[name=disk_gib]", "2")
    create = page.get_by_role("button", name="Create", exact=True)

    page.context.route("**/standing", lambda route: route.abort())
    create.click()
    page.get_by_text("Not sent: the portal cannot be reached").wait_for()
    page.context.unroute("**/standing")

    Session.objects.all().delete()
    create.click()
    page.get_by_text("Your session is over").wait_for()
    assert page.input_value("[name=name]") == "web-1"
    sign_in_again(page)
    create.dblclick()
    page.wait_for_url(lambda address: "create" not in address)
    assert VirtualMachine.objects.get().name == "web-1"


def test_a_dialog_goes_on_after_signing_in_again(make_vm: Any, alice: User, open_page: OpenPage) -> None:
    vm = make_vm(name="web", power="running")
    page = open_page(alice, f"/vms/{vm.uuid}/snapshots")
    page.set_default_timeout(15_000)
    page.get_by_role("link", name="Take a snapshot").click()
    name = page.locator("dialog[open] [name=name]")
    name.fill("before-the-update")
    Session.objects.all().delete()
    take = page.locator("dialog[open] button[type=submit]")
    take.click()
    page.get_by_text("Your session is over").wait_for()
    sign_in_again(page)
    take.click()
    page.locator("dialog[open]").wait_for(state="detached")
    assert Job.objects.get().subject == vm.subject


def test_leaving_with_something_typed_is_asked_about(fake_provider: Any, alice: User, open_page: OpenPage) -> None:
    page = open_page(alice, "/vms/create")
    page.set_default_timeout(15_000)
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss() if len(asked) == 1 else dialog.accept()

    page.on("dialog", stay)
    page.locator("[name=name]").press_sequentially("web-1")
    page.locator(".crumbs a").click()
    page.wait_for_timeout(200)
    assert asked == ["beforeunload"]
    assert page.input_value("[name=name]") == "web-1"
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url("**/vms/")
    assert asked == ["beforeunload"], "Cancel says it already"
