"""What stands around a console, pressed in Chromium: picture, size, keys, media, search, letters, clipboard."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.models import Session
from PIL import Image
from pytest_django import Settings

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from providers.base import LinkConsole
from storage.models import Image as StoredImage
from tests.vms.conftest import MakeMachine
from tests.vms.console_window import CHROMIUM, Windows, served
from vms.console import grants, signals, targets
from vms.models import VirtualMachine

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="There is no Chromium on this machine."),
]
SCREEN_SIZE = "canvas => [canvas.width, canvas.height, Math.round(canvas.getBoundingClientRect().width)]"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    # Playwright keeps an event loop in this thread, beside which Django would refuse its database.
    with pytest.MonkeyPatch.context() as patch, sync_api.sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def windows(
    chromium: Any, live_server: Any, client_of: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Windows]:
    monkeypatch.setattr(signals, "announce", lambda: None)
    monkeypatch.setattr(grants, "announce", lambda: None)
    settings.CSRF_TRUSTED_ORIGINS = [live_server.url]
    windows = Windows(chromium, live_server.url, client_of)
    yield windows
    windows.close()
    assert windows.errors == []


@pytest.fixture
def vm(machine: MakeMachine) -> VirtualMachine:
    return machine("web-1", start=True)


def expect(page: Any, selector: str) -> Any:
    return sync_api.expect(page.locator(selector))


def choose(page: Any, name: str) -> None:
    """From the menu of power and media, beside the console."""
    page.get_by_label("Power and media").click()
    page.get_by_role("menuitem", name=name).click()


def test_a_screens_buttons_do_what_they_say(
    windows: Windows, vm: VirtualMachine, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as windows.port:
        page = windows.open(alice, vm)
        expect(page, "[data-console-words]").to_have_text("Connected")
        expect(page, "[data-console-left]").to_have_text("12 h left")
        expect(page, "[data-console-latency]").to_have_text(re.compile(r"^\d+(\.\d)? ms$"))

        width, height, shown = page.locator("canvas").evaluate(SCREEN_SIZE)
        assert shown != width
        page.locator("[data-console-do=scale]").click()
        expect(page, "[data-console-do=scale]").to_have_attribute("aria-pressed", "false")
        assert page.locator("canvas").evaluate(SCREEN_SIZE)[2] == width
        with page.expect_download() as download:
            page.locator("[data-console-do=screenshot]").click()
        assert re.fullmatch(r"web-1 \d{4}-\d\d-\d\d \d\d-\d\d-\d\d\.png", download.value.suggested_filename)
        with Image.open(io.BytesIO(Path(download.value.path()).read_bytes())) as picture:
            assert (picture.format, picture.size) == ("PNG", (width, height))

        # Pressed twice a key to hold stays down, and goes up with the panel.
        page.locator("[data-console-panel-open=keys]").click()
        hold = page.locator("[data-console-panel=keys] [data-hold=alt]")
        hold.click()
        hold.click()
        page.locator("[data-console-panel=keys] [data-keys=tab]").click()
        expect(page, "[data-console-panel=keys] [data-hold=alt]").to_have_class(re.compile("is-locked"))
        page.keyboard.press("Escape")
        expect(page, "[data-console-panel=keys] [data-hold=alt]").to_have_attribute("aria-pressed", "false")

        page.locator("[data-console-panel-open=type]").click()
        page.locator("[data-type-speed]").select_option(label="Slow, for old systems")
        page.locator("[data-type-text]").fill("x" * 60)
        page.locator("[data-type-go]").click()
        expect(page, "[data-type-progress]").to_be_visible()
        page.wait_for_function("() => document.querySelector('[data-type-progress]').value > 0")
        page.locator("[data-type-stop]").click()
        expect(page, "[data-type-note]").to_contain_text("Stopped: ")

        iso = StoredImage.objects.get(provider=vm.provider, is_iso=True)
        choose(page, "Insert an ISO image")
        dialog = page.locator("dialog[open]")
        dialog.get_by_label(iso.name).or_(dialog.locator("[name=image]")).first.wait_for()
        dialog.locator("select[name=image]").select_option(str(iso.uuid))
        dialog.get_by_role("button", name="Insert").click()
        expect(page, "[data-console-words]").to_have_text("Connected")
        expect(page, "dialog[open]").to_have_count(0)
        assert Job.objects.filter(subject=vm.subject, user=alice).count() == 1
        assert page.url.endswith("/console/vnc")

        # A provider that shows its consoles on a page of its own.
        elsewhere = mock.Mock(return_value=LinkConsole(url="https://vendor.test/console?ticket=1"))
        monkeypatch.setattr(targets, "_ask", elsewhere)
        page.locator("[data-console-do=again]").click()
        link = page.locator("[data-console-link]")
        sync_api.expect(link).to_be_visible()
        assert [link.get_attribute(name) for name in ("href", "rel", "target")] == [
            "https://vendor.test/console?ticket=1",
            "noopener noreferrer",
            "_blank",
        ]


def test_what_a_machine_copies_is_copied_here_for_its_driver_only(
    windows: Windows, vm: VirtualMachine, alice: User, bob: User
) -> None:
    """Who watches would have lost what they had copied themselves, for what somebody else did."""
    hears = """async (text) => {
      const page = document.querySelector("script[src*='console-page']").src;
      const { Clipboard } = await import(page.replace("console-page", "console-clipboard"));
      new Clipboard(document.querySelector("[data-console-panel=clipboard]"), {}).heard(text);
    }"""
    with served() as windows.port:
        permissions = ["clipboard-read", "clipboard-write"]
        driver = windows.open(alice, vm, permissions=permissions)
        expect(driver, "[data-console-words]").to_have_text("Connected")
        driver.evaluate(hears, "first")
        expect(driver, "[data-clipboard-note]").to_have_text("Copied in the machine, and here.")
        assert driver.evaluate("() => navigator.clipboard.readText()") == "first"
        watcher = windows.open(bob, vm, permissions=permissions)
        expect(watcher, "[data-console-banner]").to_contain_text("you watch.")
        watcher.evaluate("() => navigator.clipboard.writeText('mine')")
        watcher.evaluate(hears, "second")
        assert watcher.locator("[data-clipboard-text]").input_value() == "second"
        expect(watcher, "[data-clipboard-note]").to_have_text("Copied in the machine.")
        assert watcher.evaluate("() => navigator.clipboard.readText()") == "mine"


def test_a_serial_consoles_buttons_do_what_they_say(windows: Windows, vm: VirtualMachine, alice: User) -> None:
    with served() as windows.port:
        page = windows.open(alice, vm, "serial", permissions=["clipboard-read", "clipboard-write"])
        expect(page, ".xterm-rows").to_contain_text("login:")

        size = page.locator("[data-console-size]")
        before = [int(number) for number in size.inner_text().split(" × ")]
        for _ in range(2):
            page.locator("[data-console-do=larger]").click()
        after = [int(number) for number in size.inner_text().split(" × ")]
        assert after < before
        assert after[1] < before[1]
        assert page.evaluate("() => localStorage.getItem('kvweb.console.size')") == "18"

        # The terminal fits its window.
        page.set_viewport_size({"width": 800, "height": 800})
        expect(page, "[data-console-size]").not_to_have_text(f"{after[0]} × {after[1]}")
        assert int(size.inner_text().split(" × ")[0]) < after[0]

        page.keyboard.press("Control+Shift+F")
        page.locator("[data-console-search-text]").fill("login")
        expect(page, "[data-console-found]").to_have_text(re.compile(r"^1 of \d+$"))
        page.locator("[data-console-search-text]").fill("nothing like it")
        expect(page, "[data-console-found]").to_have_text("Not found")
        page.keyboard.press("Escape")
        expect(page, "[data-console-search]").to_be_hidden()

        # The terminal draws its own selection, so it is asked for with the mouse.
        row = page.locator(".xterm-rows > div", has_text="login:").first.bounding_box()
        page.mouse.dblclick(row["x"] + 20, row["y"] + row["height"] / 2)
        page.keyboard.press("Control+Shift+C")
        word = page.evaluate("() => navigator.clipboard.readText()")
        assert word.strip()
        assert word in page.locator(".xterm-rows").inner_text()
        page.evaluate("() => navigator.clipboard.writeText('demo')")
        page.keyboard.press("Control+Shift+V")
        expect(page, ".xterm-rows").to_contain_text("login: demo")

        # As the service says it when nobody used the console for nearly four hours.
        hears = "seconds => window.lastSocket.onmessage({data: JSON.stringify({type: 'idle', seconds})})"
        page.evaluate(hears, 540)
        expect(page, "[data-console-left]").to_have_text("not used, 9 min left")
        expect(page, "#toasts").to_contain_text("Nobody used this console for a long time. It ends in 9 minutes.")
        page.evaluate(hears, None)
        expect(page, "[data-console-left]").to_have_text("12 h left")

        page.keyboard.press("Shift+Escape")
        assert page.evaluate("document.activeElement.className") == "console-back"
        choose(page, "Force off")
        sync_api.expect(page.locator("dialog[open]")).to_contain_text(vm.name)
        page.keyboard.press("Escape")

        Session.objects.all().delete()
        expect(page, "[data-console-sign-in]").to_be_visible()
        expect(page, "[data-console-title]").to_have_text("You are signed out")
