"""Chromium on the tests' own server: signed in as somebody, in a theme and a width, held against the rules of axe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from kvweb.accounts.models import User

PROGRAM = Path("/usr/bin/chromium")
AXE = Path(settings.NODE_MODULES) / "axe-core/axe.min.js"

OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for the module."""
    sync_api = pytest.importorskip("playwright.sync_api")
    assert PROGRAM.exists(), "No Chromium was found; `make test` installs it."
    # Playwright keeps an event loop in this thread, beside which Django would refuse its database.
    with pytest.MonkeyPatch.context() as patch, sync_api.sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=str(PROGRAM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, live_server: Any, client_of: Callable[[User], Client]) -> Iterator[OpenPage]:
    """Opens an address as somebody; errors of the page's scripts fail the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_as(user: User, address: str, *, theme: str = "light", width: int = 1280) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce", bypass_csp=True
        )
        contexts.append(context)
        session = client_of(user).cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        # News have their own tests; here a stream would only hold one of the server's threads.
        context.route("**/events?*", lambda route: route.abort())
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        steady(page).goto(live_server.url + address)
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert errors == []


def steady(page: Any) -> Any:
    """The page, which goes somewhere again when a part of what is there was dropped on its way.

    Guests that start on this host change its network, and Chromium then drops what it is loading
    (ERR_NETWORK_CHANGED): a page without its program does little. People load it again, and so do tests.
    """
    lost: list[str] = []

    def failed(request: Any) -> None:
        if "NETWORK_CHANGED" in (request.failure or "") and request.resource_type in {"script", "stylesheet"}:
            lost.append(request.url)

    def again(go: Callable[..., Any], *where: str, **values: Any) -> Any:
        lost.clear()
        answer = go(*where, **values)
        for _ in range(2):
            if not lost:
                break
            lost.clear()
            answer = go(*where, **values)
        return answer

    page.on("requestfailed", failed)
    page.goto, page.reload = partial(again, page.goto), partial(again, page.reload)
    return page


def faults(page: Any, *, within: str = "", **options: Any) -> list[str]:
    """What axe finds wrong with the page as it stands, or with a part of it: the rule, and the first places."""
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE.read_text())
    found = page.evaluate(
        """async ([within, options]) => {
            const where = within ? document.querySelector(within) : document;
            return (await axe.run(where, { resultTypes: ["violations"], ...options })).violations;
        }""",
        [within, options],
    )
    return [f"{each['id']} at {[node['target'] for node in each['nodes'][:3]]}" for each in found]
