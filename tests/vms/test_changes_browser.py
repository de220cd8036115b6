"""Changing a machine in a browser: dialogs that say what is wrong, and pages that show what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from kvweb.accounts.models import User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from tests.browsing import faults, steady
from tests.conftest import PASSWORD
from tests.vms.conftest import MakeMachine
from vms.models import VirtualMachine

OPEN = "address => htmx.ajax('GET', address, {target: '#dialog', swap: 'innerHTML'})"
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Jobs are done while the page waits for their first answer."""

    def enqueue(job: Job, *, after_s: float = 0.0) -> bool:
        del after_s
        return jobs.run(job.pk) is not None

    monkeypatch.setattr(jobs, "enqueue", enqueue)
    settings.FAST_LANE_S = 2.0


@pytest.fixture
def vm(machine: MakeMachine) -> VirtualMachine:
    return machine()


@pytest.fixture
def open_tab(chromium: Any, live_server: Any, alice: User, vm: VirtualMachine) -> Iterator[Callable[[str], Any]]:
    """Alice at a tab of her machine; errors of the page's own scripts fail the test."""
    page = steady(chromium.new_page())
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def go(tab: str) -> Any:
        address = f"/vms/{vm.uuid}/{tab}"
        page.goto(f"{live_server.url}/accounts/login/?next={address}")
        page.fill("[name=login]", alice.username)
        page.fill("[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(f"**{address}")
        return page

    yield go
    page.close()
    assert not errors, errors


def test_a_disk_is_attached_grown_and_deleted(open_tab: Callable[[str], Any]) -> None:
    page = open_tab("disks")
    rows = page.locator(".parts-list tbody tr")
    before = rows.count()
    page.get_by_role("link", name="Attach a disk").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Size (GiB)").fill("0")
    dialog.get_by_role("button", name="Attach").click()
    sync_api.expect(dialog).to_contain_text("At least 1 GiB")
    assert dialog.get_by_label("Size (GiB)").input_value() == "0"
    dialog.get_by_label("Size (GiB)").fill("7")
    dialog.get_by_role("button", name="Attach").click()
    sync_api.expect(dialog).to_have_count(0)
    sync_api.expect(rows).to_have_count(before + 1)
    sync_api.expect(rows.last).to_contain_text("7 GiB")

    rows.last.get_by_role("link", name="Grow").click()
    dialog.locator("input[type=range]").fill("20")
    assert dialog.get_by_label("New size (GiB)", exact=True).input_value() == "20"
    dialog.get_by_role("button", name="Grow").click()
    sync_api.expect(rows.last).to_contain_text("20 GiB")

    rows.last.get_by_role("link", name="Detach").click()
    button = dialog.get_by_role("button", name="Detach")
    sync_api.expect(button).to_be_enabled()
    dialog.get_by_label("Delete it for good").check()
    sync_api.expect(button).to_be_disabled()
    dialog.locator("[name=typed]").fill("web-1")
    sync_api.expect(button).to_be_enabled()
    button.click()
    sync_api.expect(rows).to_have_count(before)


def test_a_snapshot_is_taken_and_gone_back_to(open_tab: Callable[[str], Any]) -> None:
    page = open_tab("snapshots")
    page.get_by_role("link", name="Take a snapshot").first.click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("before <b>it</b>")
    dialog.get_by_role("button", name="Take snapshot").click()
    row = page.locator(".tree-list tbody tr", has_text="before <b>it</b>")
    row.wait_for()
    sync_api.expect(page.locator(".tree-now")).to_have_count(1)
    row.get_by_role("link", name="Go back").click()
    sync_api.expect(dialog).to_contain_text("since is lost")
    dialog.get_by_text("Take a snapshot of it as it is now").click()
    dialog.get_by_role("button", name="Go back").click()
    sync_api.expect(dialog).to_have_count(0)
    page.get_by_text("Before going back to").first.wait_for()


def test_what_the_provider_refuses_stands_in_the_dialog(open_tab: Callable[[str], Any], vm: VirtualMachine) -> None:
    page = open_tab("")
    VirtualMachine.objects.filter(pk=vm.pk).update(external_id="nowhere")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Rename").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("shop")
    dialog.get_by_role("button", name="Rename").click()
    sync_api.expect(dialog.get_by_role("alert")).to_be_visible()
    assert dialog.get_by_label("Name").input_value() == "shop"


DIALOGS = {
    "disks": ["attach-disk", "grow-disk?disk=vda", "move-disk?disk=vda", "detach-disk?disk=vda"],
    "networks": ["add-nic"],
    "snapshots": ["take-snapshot"],
    "": ["clone", "delete"],
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_tabs_and_dialogs_can_be_read_and_used_by_everybody(
    open_tab: Callable[[str], Any], vm: VirtualMachine, theme: str
) -> None:
    page = open_tab("disks")
    page.emulate_media(color_scheme=theme)
    origin, found = page.url.partition("/vms/")[0], []
    for tab, dialogs in DIALOGS.items():
        page.goto(f"{origin}/vms/{vm.uuid}/{tab}")
        found += faults(page)
        for dialog in dialogs:
            page.evaluate(OPEN, f"/vms/{vm.uuid}/ask/{dialog}")
            page.locator("dialog[open] h2").wait_for()
            # It rises into its place; while it does, its colours are mixed.
            page.wait_for_timeout(200)
            found += faults(page)
            page.keyboard.press("Escape")
    assert not found, "\n".join(found)
