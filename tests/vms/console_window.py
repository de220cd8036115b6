"""A console's page in Chromium, with Django's test server behind it and a console service of the test's own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.test import Client

from kvweb.accounts.models import User
from vms.console.proxy import Proxy
from vms.models import VirtualMachine

#: The page asks for its own address, where nginx would be; here the console service has a port of its own.
ELSEWHERE = """
const Real = window.WebSocket;
window.WebSocket = class extends Real {
  constructor(url, protocols) {
    const to = new URL(url);
    to.port = PORT;
    super(to, protocols);
    window.lastSocket = this;
  }
};
"""
CHROMIUM = ["--no-sandbox"]
SLOW_MS = 45_000


@contextlib.contextmanager
def served(port: int = 0) -> Iterator[int]:
    """A console service on a port; everything it carries ends with it."""
    listener = socket.create_server(("127.0.0.1", port))
    proxy = Proxy(listener, trust_forwarded=False, hear_signals=False)
    thread = threading.Thread(target=proxy.run, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        proxy.stop()
        thread.join(10)


class Windows:
    """Opens consoles of machines as somebody; errors of the page's scripts are kept."""

    def __init__(self, browser: Any, url: str, client_of: Callable[[User], Client]) -> None:
        self._browser, self._url, self._client_of = browser, url, client_of
        self._contexts: list[Any] = []
        self.port = 0
        self.errors: list[str] = []

    def open(
        self,
        user: User,
        vm: VirtualMachine,
        kind: str = "vnc",
        page: str = "",
        script: str = "",
        routes: Any = None,
        **how: Any,
    ) -> Any:
        """A console's page, or another `page` of the machine; `script` runs before those of the page."""
        context = self._browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", "bypass_csp": True, **how}
        )
        self._contexts.append(context)
        context.set_default_timeout(SLOW_MS)
        session = self._client_of(user).cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": self._url}])
        # News have their own tests; here a stream would only hold one of the server's threads.
        context.route("**/events?*", lambda route: route.abort())
        context.add_init_script(ELSEWHERE.replace("PORT", str(self.port)))
        if script:
            context.add_init_script(script)
        window = context.new_page()
        for address, handler in (routes or {}).items():
            window.route(address, handler)
        window.on("pageerror", lambda error: self.errors.append(str(error)))
        window.goto(f"{self._url}/vms/{vm.uuid}/{page or f'console/{kind}'}")
        return window

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def type_text(page: Any, text: str, *, layout: str = "us", secret: bool = False, enter: bool = True) -> str:
    """Type through the panel; what it says at the end."""
    panel = page.locator("[data-console-panel=type]")
    if not panel.is_visible():
        page.locator("[data-console-panel-open=type]").click()
    page.locator("[data-type-layout]").select_option(layout)
    page.locator("[data-type-mask]").set_checked(secret)
    page.locator("[data-type-secret]" if secret else "[data-type-text]").fill(text)
    page.locator("[data-type-enter]").set_checked(enter)
    page.locator("[data-type-go]").click()
    note = page.locator("[data-type-note]")
    page.wait_for_function(
        "note => !/^$|^\\d+ of \\d+$/.test(note.textContent)", arg=note.element_handle(), timeout=SLOW_MS
    )
    return str(note.inner_text())
