"""The console's page in Chromium, with a simulated machine: text, keys, sharing, telephones, ends and beginnings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from pytest_django import Settings

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from providers.base import NotFound
from providers.pool import driver_for
from tests.browsing import faults
from tests.vms.conftest import MakeMachine
from tests.vms.console_window import CHROMIUM, Windows, served, type_text
from vms import inventory
from vms.choices import Presence
from vms.console import grants, signals, targets
from vms.console.proxy import Proxy
from vms.models import VirtualMachine

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="There is no Chromium on this machine."),
]


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


def screen_text(vm: VirtualMachine) -> str:
    """What the simulated keyboard typed, as its driver keeps it."""
    from providers.fake.state import Vm

    with driver_for(vm.provider) as driver, driver.cloud.store.reading() as tx:  # type: ignore[attr-defined]
        return "".join(tx.get(Vm, vm.external_id).typed)


def test_text_is_typed_through_the_machines_own_keyboard(windows: Windows, vm: VirtualMachine, alice: User) -> None:
    with served() as windows.port:
        page = windows.open(alice, vm)
        expect(page, "[data-console-words]").to_have_text("Connected")
        assert type_text(page, "demo").startswith("Typed 5 characters")
        assert type_text(page, "demo", secret=True).startswith("Typed 5 characters")
        assert page.locator("[data-type-secret]").input_value() == ""
        assert screen_text(vm) == "demo\rdemo\r"
        # What this keyboard has not is told before anything is pressed, and a password is not shown by that.
        assert "ß" in type_text(page, "Straße")
        told = type_text(page, "Straße", secret=True)
        assert "cannot be typed" in told
        assert "ß" not in told
        assert screen_text(vm) == "demo\rdemo\r"
        # The page presses the keys of a German keyboard, and this American guest reads them as its own.
        type_text(page, "zy", layout="de", enter=False)
        assert screen_text(vm).endswith("yz")
        page.locator("[data-type-text]").fill("x" * 400)
        page.locator("[data-type-go]").click()
        page.locator("[data-type-stop]").click()
        expect(page, "[data-type-note]").to_contain_text("Stopped: ")
        typed = screen_text(vm)
        page.keyboard.press("Escape")
        expect(page, "[data-console-panel=type]").to_be_hidden()
        page.locator("[data-console-panel-open=type]").click()
        assert page.locator("[data-type-text]").input_value() == ""
    assert 0 < typed.count("x") < 400
    entries = AuditEntry.objects.filter(verb="vm.console.typed")
    assert entries.exists()
    assert "demo" not in str([entry.details for entry in entries])


def test_a_viewers_file_is_saved_by_one_press(windows: Windows, vm: VirtualMachine, alice: User) -> None:
    with served() as windows.port:
        page = windows.open(alice, vm, page="console")
        with page.expect_download() as download:
            page.locator("[data-viewer-file]").click()
        assert download.value.suggested_filename == "web-1.vv"
        text = Path(download.value.path()).read_text()
        assert "[virt-viewer]" in text
        assert "host=spice.fake.test" in text
        expect(page, "#toasts").to_contain_text("within 60 seconds")


def test_two_people_share_a_screen_and_one_has_the_keyboard(
    windows: Windows, vm: VirtualMachine, alice: User, bob: User
) -> None:
    with served() as windows.port:
        first = windows.open(alice, vm)
        expect(first, "[data-console-words]").to_have_text("Connected")
        second = windows.open(bob, vm)
        expect(second, "[data-console-banner]").to_contain_text("alice has the keyboard; you watch.")
        expect(second, "[data-console-panel-open=type]").to_be_disabled()
        second.locator("[data-console-banner] [data-say=ask]").click()
        expect(first, "[data-console-banner]").to_contain_text("bob asks for the keyboard.")
        first.locator("[data-console-banner] [data-say=give]").click()
        expect(second, "[data-console-panel-open=type]").to_be_enabled()
        expect(first, "[data-console-panel-open=type]").to_be_disabled()
        first.locator("[data-console-people-open]").click()
        expect(first, "[data-console-people-list]").to_contain_text("has the keyboard")
        assert type_text(second, "now me").startswith("Typed")
        assert screen_text(vm) == "now me\r"


def test_the_page_comes_back_by_itself_and_says_what_it_waits_for(
    windows: Windows, vm: VirtualMachine, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        windows.port = stack.enter_context(served())
        page = windows.open(alice, vm)
        expect(page, "[data-console-words]").to_have_text("Connected")
        stack.close()
        expect(page, "[data-console-words]").to_contain_text("Trying again in")
        expect(page, "[data-console-again]").to_have_text("Try now")
        with served(windows.port):
            expect(page, "[data-console-words]").to_have_text("Connected")
            with driver_for(vm.provider) as driver:
                assert driver.power is not None
                inventory.apply(vm.provider, [driver.power.stop(vm.external_id, force=True)])
            expect(page, "[data-console-title]").to_have_text("It is off")
            expect(page, "[data-console-start]").to_be_visible()
            with driver_for(vm.provider) as driver:
                assert driver.power is not None
                inventory.apply(vm.provider, [driver.power.start(vm.external_id)])
            expect(page, "[data-console-words]").to_have_text("Connected")
            # While a machine moves to another host, neither has it for a moment.
            with monkeypatch.context() as moving:
                moving.setattr(targets, "_ask", mock.Mock(side_effect=NotFound("The VM does not exist any more.")))
                page.locator("[data-console-do=again]").click()
                expect(page, "[data-console-words]").to_contain_text("Trying again in")
            expect(page, "[data-console-words]").to_have_text("Connected")
            VirtualMachine.objects.filter(pk=vm.pk).update(presence=Presence.DELETED)
            expect(page, "[data-console-title]").to_have_text("The machine does not exist any more.")
            expect(page, "[data-console-words]").to_have_text("Closed")
            expect(page, "[data-console-card] [data-console-again]").to_be_hidden()


def test_a_line_that_died_without_a_word_is_given_up_and_made_anew(
    windows: Windows, vm: VirtualMachine, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console service hangs: it closes nothing and answers nobody. The page's clock is put on meanwhile."""
    goes_on, tick = threading.Event(), Proxy._tick
    goes_on.set()
    monkeypatch.setattr(Proxy, "_tick", lambda proxy: (goes_on.wait(120), tick(proxy)))
    with served() as windows.port:
        try:
            page = windows.open(alice, vm, "serial")
            expect(page, "[data-console-words]").to_have_text("Connected")
            page.clock.install()
            # A line that is only quiet is asked, answers and goes on.
            quiet_for(page, 16_000, 9_000)
            expect(page, "[data-console-words]").to_have_text("Connected")
            goes_on.clear()
            quiet_for(page, 16_000, 9_000)
            expect(page, "[data-console-title]").to_have_text("The line does not answer.")
            # Nor does an attempt that nobody answers last for ever.
            expect(page, "[data-console-words]").to_have_text("Connecting")
            page.clock.fast_forward(21_000)
            expect(page, "[data-console-words]").to_contain_text("Trying again in")
        finally:
            goes_on.set()
        expect(page, "[data-console-words]").to_have_text("Connected")


def quiet_for(page: Any, *periods_ms: int) -> None:
    """Put the page's clock on, and give it each time the moment that it needs to look at it."""
    for period_ms in periods_ms:
        page.wait_for_timeout(1500)
        page.clock.fast_forward(period_ms)
        page.wait_for_timeout(2200)


#: Keeps what the page sends; and of that the keys, each as "down or not" and what RFB calls it.
LISTEN = """() => {
  window.sent = [];
  const send = window.lastSocket.send.bind(window.lastSocket);
  window.lastSocket.send = (data) => { window.sent.push([...new Uint8Array(data.buffer ?? data)]); send(data); };
}"""
KEYS_SENT = """() => window.sent.filter((each) => each[0] === 4).map((each) => [each[1], each[6] * 256 + each[7]])"""


def test_keys_are_held_sent_and_given_back(windows: Windows, vm: VirtualMachine, alice: User) -> None:
    with served() as windows.port:
        page = windows.open(alice, vm)
        expect(page, "[data-console-words]").to_have_text("Connected")
        page.locator("canvas").click()
        expect(page, "[data-console-hint]").to_be_visible()
        # The button stays where the pointer was pressed, though the keyboard leaves the screen meanwhile.
        page.locator("[data-console-panel-open=keys]").click()
        page.evaluate(LISTEN)
        hold = page.locator("[data-console-panel=keys] [data-hold=ctrl]")
        hold.click()
        assert hold.get_attribute("aria-pressed") == "true"
        page.locator("[data-console-panel=keys] [data-keys=f2]").click()
        assert hold.get_attribute("aria-pressed") == "false"
        page.locator("[data-keys='ctrl alt delete']").click()
        keys = page.evaluate(KEYS_SENT)
        control, alternate, second, delete = 0xFFE3, 0xFFE9, 0xFFBF, 0xFFFF
        assert keys[:4] == [[1, control], [1, second], [0, second], [0, control]]
        assert keys[4:] == [[1, control], [1, alternate], [1, delete], [0, delete], [0, alternate], [0, control]]
        page.locator("canvas").click()
        page.keyboard.press("Shift+Escape")
        assert page.evaluate("document.activeElement.className") == "console-back"
        # How to get out stays to be read also where nothing may move.
        page.emulate_media(reduced_motion="reduce")
        page.locator("canvas").click()
        assert page.locator("[data-console-hint]").evaluate("(hint) => getComputedStyle(hint).opacity") == "1"
        with page.expect_popup() as popup:
            page.locator("[data-console-do=detach]").click()
        expect(page, "[data-console-title]").to_contain_text("window of its own")
        expect(popup.value, "[data-console-words]").to_have_text("Connected")
        popup.value.close()
        expect(page, "[data-console-words]").to_have_text("Connected")


#: Tells what the page asks of Keyboard Lock; or a browser that has none, as Firefox and Safari have not.
WITH_LOCK = """
window.locks = [];
const { keyboard } = navigator;
const lock = keyboard.lock.bind(keyboard), unlock = keyboard.unlock.bind(keyboard);
keyboard.lock = () => lock().then(() => { window.locks.push("locked"); });
keyboard.unlock = () => { window.locks.push("unlocked"); unlock(); };
"""
WITHOUT_LOCK = "Object.defineProperty(navigator, 'keyboard', { value: undefined });"


def test_in_full_screen_all_keys_are_the_machines_until_it_is_left(
    windows: Windows, vm: VirtualMachine, alice: User
) -> None:
    with served() as windows.port:
        page = windows.open(alice, vm, script=WITH_LOCK)
        expect(page, "[data-console-words]").to_have_text("Connected")
        locked = page.locator("[data-console-leave=locked]")
        page.locator("canvas").click()
        assert page.evaluate("window.locks") == []
        page.locator("[data-console-do=full]").click()
        # The promise that the browser kept, not only the call.
        page.wait_for_function("window.locks.at(-1) === 'locked'")
        sync_api.expect(locked).to_be_visible()
        assert locked.inner_text().strip() == "· hold Esc to leave the full screen"
        page.evaluate(LISTEN)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+w")
        escape, control = 0xFF1B, 0xFFE3
        assert page.evaluate(KEYS_SENT)[:3] == [[1, escape], [0, escape], [1, control]]
        # Who gave the keyboard back reaches the desktop's own keys again, in full screen too.
        page.keyboard.press("Shift+Escape")
        page.wait_for_function("window.locks.at(-1) === 'unlocked'")
        page.locator("canvas").click()
        page.wait_for_function("window.locks.at(-1) === 'locked'")
        page.evaluate("document.exitFullscreen()")
        page.wait_for_function("window.locks.at(-1) === 'unlocked'")
        sync_api.expect(locked).to_be_hidden()
        page.close()

        page = windows.open(alice, vm, script=WITHOUT_LOCK)
        expect(page, "[data-console-words]").to_have_text("Connected")
        page.locator("canvas").click()
        page.locator("[data-console-do=full]").click()
        expect(page, "[data-console-leave=free]").to_be_visible()
        expect(page, "[data-console-leave=locked]").to_be_hidden()


def test_a_page_whose_program_was_lost_on_its_way_loads_again(
    windows: Windows, vm: VirtualMachine, alice: User
) -> None:
    """Browsers drop what they are loading when the network changes, as a machine that starts here makes it do."""
    # The tests' own machines do so too, at any moment: nothing is counted here.
    drops, lost = {"program": 1, "grant": 1}, set()

    def drop(route: Any) -> None:
        what = "grant" if route.request.url.endswith("/grant") else "program"
        drops[what] -= 1
        if drops[what] >= 0:
            lost.add(what)
            route.abort("internetdisconnected")
        else:
            route.continue_()

    with served() as windows.port:
        page = windows.open(alice, vm, routes={"**/js/console-people.js": drop, "**/grant": drop})
        expect(page, "[data-console-words]").to_have_text("Connected")
        assert lost == {"program", "grant"}
        # What fails again and again is no passing thing: it is said, and the person decides.
        drops["program"] = 100
        page.reload()
        expect(page, "[data-console-title]").to_have_text("The console's own program could not be loaded")
        drops["program"] = 0
        page.locator("[data-console-card] [data-console-again]").click()
        expect(page, "[data-console-words]").to_have_text("Connected")


def test_where_the_provider_presses_no_keys_the_screen_gets_them(
    windows: Windows, vm: VirtualMachine, alice: User
) -> None:
    can = vm.provider.can
    assert can.consoles is not None
    without = can.consoles.model_copy(update={"send_keys": False})
    vm.provider.capabilities = can.model_copy(update={"consoles": without}).to_json()
    vm.provider.save()
    with served() as windows.port:
        page = windows.open(alice, vm)
        expect(page, "[data-console-words]").to_have_text("Connected")
        page.evaluate(LISTEN)
        assert type_text(page, "aÄ", layout="de", enter=False).startswith("Typed 2 characters")
        # This screen takes symbols only, and gets those that are meant, whatever key has them.
        shift = 0xFFE1
        assert page.evaluate(KEYS_SENT) == [[1, 0x61], [0, 0x61], [1, shift], [1, 0xC4], [0, 0xC4], [0, shift]]


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_everything_can_be_reached_and_read(
    theme: str, width: int, windows: Windows, vm: VirtualMachine, alice: User
) -> None:
    with served() as windows.port:
        how: dict[str, Any] = {
            "viewport": {"width": width, "height": 844},
            "color_scheme": theme,
            "has_touch": width < 600,
        }
        page = windows.open(alice, vm, **how)
        expect(page, "[data-console-words]").to_have_text("Connected")
        for panel in ("", "keys", "type", "clipboard"):
            if panel:
                page.locator(f"[data-console-panel-open={panel}]").click()
            assert faults(page, rules={"region": {"enabled": False}}) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if width < 600:
            page.locator("[data-console-panel-close]:visible").click()
            page.locator("[data-touch-keyboard]").click()
            page.keyboard.type("demo")
            page.locator(".console-touch [data-keys=enter]").click()
            serial = windows.open(alice, vm, "serial", **how)
            expect(serial, "[data-console-words]").to_have_text("Connected")
            expect(serial, ".xterm-rows").to_contain_text("login:")
            serial.locator("[data-touch-keyboard]").click()
            serial.keyboard.type("demo")
            serial.locator(".console-touch [data-keys=enter]").click()
            expect(serial, ".xterm-rows").to_contain_text("Password:")
