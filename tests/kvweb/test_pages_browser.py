"""Pages in a real browser: accessible in both themes and widths, quick to answer a click, reachable by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kvweb.accounts.models import User
from kvweb.jobs.models import Job, JobLine
from tests.browsing import faults
from vms.models import VirtualMachine

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible(make_vm: Any, alice: User, open_page: Callable[..., Any], theme: str, width: int) -> None:
    vm = make_vm(name="web", power="running", addresses="10.0.0.7", problem="Restart failed: No answer.")
    make_vm(name="off")
    job = Job.objects.create(
        kind="vm.start", title="Start “web”", project=vm.project, user=alice, state="failed", reason="No answer."
    )
    JobLine.objects.create(job=job, text="Asking", level="error")
    addresses = ["/", "/vms/", "/vms/?q=zzz", "/jobs/", f"/jobs/{job.uuid}/"]
    addresses += [f"/vms/{vm.uuid}/{tab}" for tab in ("", "console", "disks", "history", "ask/delete")]
    page = open_page(alice, addresses[0], theme=theme, width=width)
    origin = page.url.rstrip("/")
    found = []
    for address in addresses:
        page.goto(origin + address)
        found += [f"{address}: {fault}" for fault in faults(page)]
    assert found == []


def test_a_click_is_answered_at_once_and_the_selection_stays(
    make_vm: Any, alice: User, open_page: Callable[..., Any]
) -> None:
    vm = make_vm(name="web")
    page = open_page(alice, "/vms/")
    row = page.locator(f"#vm-{vm.uuid}")
    row.locator("input").check()
    assert page.locator("#bulk [data-count]").inner_text() == "1 selected"
    taken_ms = page.evaluate(
        """id => { const began = performance.now();
            document.querySelector(`#vm-${id} button.quick`).click();
            const busy = document.querySelector(`#vm-${id} .state.is-busy`);
            return busy ? performance.now() - began : -1; }""",
        str(vm.uuid),
    )
    assert 0 <= taken_ms < 100
    page.wait_for_function("id => !document.querySelector(`#vm-${id} .quick`)", arg=str(vm.uuid))
    assert "Starting" in row.locator(".state").inner_text()
    assert row.locator("input").is_checked()
    assert Job.objects.get().subject == vm.subject


def test_deletion_by_keyboard_waits_for_the_name(make_vm: Any, alice: User, open_page: Callable[..., Any]) -> None:
    make_vm(name="web")
    page = open_page(alice, "/vms/")
    page.keyboard.press("j")
    page.keyboard.press("m")
    page.wait_for_function("document.activeElement.matches('#row-menu [role=menuitem]')")
    # Details is the last; the arrows stay in this menu, though the page has others.
    for key in ("ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.innerText.trim()") == "Delete"
    page.keyboard.press("Enter")
    submit = page.locator("#dialog button[type=submit]")
    submit.wait_for()
    assert submit.is_disabled()
    page.wait_for_function("document.activeElement.name === 'typed'")
    page.keyboard.type("web")
    # The row says it at the press, before the portal has answered.
    with page.expect_response("**/do/delete"):
        page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.state').innerText.includes('Deleting')")
    assert Job.objects.get().kind == "vm.delete"


def test_an_open_menu_stays_with_its_row_when_the_page_moves(
    make_vm: Any, alice: User, open_page: Callable[..., Any]
) -> None:
    for _ in range(20):
        make_vm()
    page = open_page(alice, "/vms/")
    page.set_viewport_size({"width": 1280, "height": 500})
    opener = page.locator("a[data-menu]").nth(6)
    opener.click()
    delete = page.locator("#row-menu >> text=Delete")
    delete.wait_for()

    def below() -> float:
        below_px: float = page.evaluate(
            """at => document.getElementById('row-menu').getBoundingClientRect().top
                - document.querySelectorAll('a[data-menu]')[at].getBoundingClientRect().bottom""",
            6,
        )
        return below_px

    before = below()
    assert page.evaluate("() => { const was = scrollY; scrollBy(0, 40); return scrollY - was; }") > 0
    page.wait_for_timeout(100)
    assert delete.is_visible()
    assert abs(below() - before) < 300, "it is still beside its row, above or below"
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    delete.wait_for(state="hidden")


def test_the_keyboard_reaches_everything(make_vm: Any, alice: User, open_page: Callable[..., Any]) -> None:
    make_vm(name="alpha")
    make_vm(name="beta")
    page = open_page(alice, "/")
    page.keyboard.press("g")
    page.keyboard.press("v")
    page.wait_for_url("**/vms/")
    page.locator("[data-row]").first.wait_for()
    page.wait_for_load_state("networkidle")
    for key in ("j", "j", "x"):
        page.keyboard.press(key)
    assert page.locator("tr.is-cursor input").is_checked()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("alp")
    page.wait_for_url("**/vms/?q=alp")
    assert page.locator("[data-row]").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#keys-help").is_visible()


def test_all_that_match_are_selected_and_named_before_they_go(
    make_vm: Any, alice: User, open_page: Callable[..., Any]
) -> None:
    for number in range(30):
        make_vm(name=f"web-{number:02}")
    make_vm(name="db-1")
    page = open_page(alice, "/vms/?q=web&per=25")
    bar = page.locator("#bulk")
    page.locator("[data-check-all]").check()
    bar.get_by_role("button", name="Select all 30 matching").click()
    assert bar.locator("[data-count]").inner_text() == "All 30 selected"
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="Delete 30 machines?").wait_for()
    page.keyboard.press("Escape")
    page.locator("input[name=vm]").first.uncheck()
    assert bar.locator("[data-count]").inner_text() == "24 selected"
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="Delete 24 machines?").wait_for()
    # News of the list while a question is open: what the question names is not counted as selected.
    page.evaluate("""() => htmx.ajax("GET", location.pathname + location.search,
        { target: "#results", swap: "outerHTML", headers: { "X-Live": "1" } })""")
    page.wait_for_load_state("networkidle")
    assert bar.locator("[data-count]").inner_text() == "24 selected"


def test_a_description_is_saved_only_once_something_was_typed(
    make_vm: Any, alice: User, open_page: Callable[..., Any]
) -> None:
    page = open_page(alice, f"/vms/{make_vm().uuid}/")
    save = page.get_by_role("button", name="Save")
    assert save.is_hidden()
    page.get_by_label("Description").fill("Ask Bob.")
    assert save.is_visible()
    page.get_by_role("button", name="Undo").click()
    assert save.is_hidden()


def test_a_machine_that_came_anew_stands_out(make_vm: Any, alice: User, open_page: Callable[..., Any]) -> None:
    old = make_vm(name="old")
    page = open_page(alice, "/vms/")
    new = make_vm(name="new")
    # What news of a new machine makes the page do.
    page.evaluate(
        """() => htmx.ajax("GET", "/vms/", { target: "#results", swap: "outerHTML", headers: { "X-Live": "1" } })"""
    )
    page.locator(f"#vm-{new.uuid}.is-new").wait_for()
    assert not page.locator(f"#vm-{old.uuid}.is-new").count()
    VirtualMachine.objects.filter(pk=new.pk).update(power="running")
    # What news of one row makes the page do: the counts beside the filters follow it.
    page.evaluate(
        "id => document.body.dispatchEvent(new CustomEvent('rows', { detail: { ids: [id] } }))", str(new.uuid)
    )
    page.locator("#chips", has_text="Running 1").wait_for()


def test_a_row_that_no_longer_fits_the_filter_goes_when_nobody_is_at_the_list(
    make_vm: Any, alice: User, open_page: Callable[..., Any]
) -> None:
    web, db = make_vm(name="web", power="running"), make_vm(name="db", power="running")
    page = open_page(alice, "/vms/?state=running")
    page.clock.install()
    news = "id => document.body.dispatchEvent(new CustomEvent('rows', { detail: { ids: [id] } }))"
    row = page.locator(f"#vm-{web.uuid}")
    row.hover()
    VirtualMachine.objects.filter(pk=web.pk).update(power="stopped")
    page.evaluate(news, str(web.uuid))
    page.clock.run_for(3000)
    row.get_by_text("No longer fits the filter").wait_for()
    page.locator("#list-foot", has_text="1–1 of 1").wait_for()
    page.clock.run_for(9000)
    assert row.is_visible(), "nothing is taken away under a pointer"
    page.mouse.move(5, 5)
    page.clock.run_for(3000)
    row.wait_for(state="detached")
    assert page.locator(f"#vm-{db.uuid}").is_visible()

    # And what fits again comes back by itself.
    VirtualMachine.objects.filter(pk=web.pk).update(power="running")
    page.evaluate(news, str(web.uuid))
    page.clock.run_for(3000)
    row.wait_for()
    page.locator("#list-foot", has_text="1–2 of 2").wait_for()
