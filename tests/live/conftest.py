"""What live tests share: a running portal, a browser, and a libvirt that is left as it was found."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browsing import steady
from tools.trial.chromium import CHROMIUM
from tools.trial.hypervisor import what_libvirt_had
from tools.trial.portal import Portal


@pytest.fixture(scope="session", autouse=True)
def _no_broker() -> None:
    """Here the broker is real, and in other processes."""


@pytest.fixture(scope="module")
def hypervisor() -> Iterator[libvirt.virConnect]:
    """The machine's libvirt; afterwards it holds what it held before."""
    with what_libvirt_had() as connection:
        yield connection


@pytest.fixture(scope="module")
def portal(hypervisor: libvirt.virConnect) -> Iterator[Portal]:
    """A portal on the machine's libvirt, as a person gets it from `make up`."""
    del hypervisor
    # Not pytest's folder: its path is longer than a socket's name may be.
    home = Path(tempfile.mkdtemp(prefix="kvweb-live-", dir="/tmp"))
    running = Portal(home)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module and not for the session: while it lives its loop runs in this thread, where Django then
    refuses the database to the tests that come after."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert executable, "No Chromium was found; `make test` installs it."
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh browser window; a test that ends with an error in the page's own code fails."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    window = steady(context.new_page())
    errors: list[str] = []
    window.on("pageerror", lambda error: errors.append(str(error)))
    # Shown by pytest when a test fails: what could not be loaded, and what the pages' scripts said.
    window.on("requestfailed", lambda request: print("not loaded:", request.url, request.failure))
    window.on("response", lambda response: print(response.status, response.url) if response.status >= 400 else None)
    window.on("console", lambda message: print("console:", message.type, message.text))
    yield window
    # What the browser showed last: the first thing to look at when a test failed.
    pictures = Path("var") / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    window.screenshot(path=pictures / f"{request.node.name}.png")
    context.close()
    assert not errors, errors


@pytest.fixture
def signed_in(page: Page, portal: Portal) -> Page:
    """The administrator's window on the machine list."""
    page.goto(f"{portal.url}/")
    page.get_by_label("Username").or_(page.locator("[name=login]")).first.fill("admin")
    page.locator("[name=password]").fill(portal.password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{portal.url}/")
    return page
