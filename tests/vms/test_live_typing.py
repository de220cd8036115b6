"""A real guest in the browser: forty characters of a password on two keyboards, two people, clipboard, pictures."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pytest_django import Settings

from kvweb.accounts.models import Project, User
from providers import pool
from providers.base import CloudInit, ConsoleKind, DiskSpec, GuestFile, GuestUser, ImageSpec, StreamConsole, VmSpec
from providers.guest.passwords import hash_password
from providers.kvm.testing import Backend
from providers.models import Health, Provider
from providers.pool import driver_for
from providers.testing import Unavailable
from tests.vms import clipboard_agent
from tests.vms.console_window import CHROMIUM, Windows, served, type_text
from vms import inventory, screenshots
from vms.console import grants, signals
from vms.models import VirtualMachine
from vms.screenshots_camera import Camera

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.live,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("kvm"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(420),
]
GUEST = Path(os.environ.get("KVWEB_GUEST_IMAGE", Path(__file__).parents[2] / "var" / "guest" / "kvweb-guest.qcow2"))
PASSWORD = "Zy!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~QxY0m7"
BOOT_S = 150.0


def german_keymap() -> str:
    """Debian's German keymap in the form that busybox loads; the page's own table is made from another source, X."""
    if shutil.which("loadkeys") is None or not Path("/usr/share/keymaps").is_dir():
        pytest.skip("loadkeys and the keymaps of console-data are not installed")
    keymap = subprocess.run(["loadkeys", "-b", "-q", "de-latin1"], check=True, capture_output=True, timeout=20).stdout
    return base64.encodebytes(keymap).decode()


@pytest.fixture(scope="module")
def room() -> Iterator[Backend]:
    if not GUEST.exists():
        pytest.skip(f"the guest image {GUEST} is not built")
    try:
        backend = Backend()
    except Unavailable as exc:
        pytest.skip(str(exc))
    yield backend
    backend.sweep()
    backend.close()


@pytest.fixture
def vm(room: Backend, project: Project) -> Iterator[VirtualMachine]:
    """A guest that boots, whose user has the long password, with a German keymap in a file."""
    image = room.driver.images.add(ImageSpec(name=f"{room.name}-guest", path=str(GUEST), pool=room.name))
    provider = Provider.objects.create(
        kind="kvm",
        name="Local",
        config=room.config.model_dump(mode="json"),
        capabilities=room.driver.probe().to_json(),
        health=Health.OK,
    )
    row = VirtualMachine.objects.create(project=project, provider=provider, name=f"{room.name}-typed")
    user = GuestUser(name="ada", password_hash=hash_password(PASSWORD, rounds=5000), sudo=True)
    spec = VmSpec(
        name=row.name,
        portal_uuid=str(row.uuid),
        memory_mib=256,
        disks=(DiskSpec(image=image.external_id, size_gib=1),),
        cloud_init=CloudInit(
            hostname="told",
            users=(user,),
            files=(GuestFile(path="/etc/de", content=german_keymap()), *clipboard_agent.files()),
        ),
        options={"clipboard": True},
        start=True,
    )
    with driver_for(provider) as driver:
        inventory.apply(provider, [driver.machines.create(spec)])
    row.refresh_from_db()
    yield row
    room.sweep()
    # Its name is free again for another attempt.
    room.driver.images.delete(image.external_id)
    pool.forget(provider)


@pytest.fixture
def windows(
    live_server: Any, client_of: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Windows]:
    settings.KVWEB_HOME = tmp_path
    settings.CSRF_TRUSTED_ORIGINS = [live_server.url]
    monkeypatch.setattr(signals, "announce", lambda: None)
    monkeypatch.setattr(grants, "announce", lambda: None)
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        windows = Windows(browser, live_server.url, client_of)
        yield windows
        windows.close()
        browser.close()
    assert windows.errors == []


class Line:
    """What comes out of the guest's serial line."""

    def __init__(self, room: Backend, vm: VirtualMachine) -> None:
        target = room.driver.consoles.open(vm.external_id, ConsoleKind.SERIAL)
        assert isinstance(target, StreamConsole)
        self.sock = target.connect()
        self.sock.settimeout(1)
        self.seen = b""

    def hears(self, text: bytes, within_s: float) -> bool:
        end = time.monotonic() + within_s
        while text not in self.seen:
            if time.monotonic() > end:
                return False
            try:
                self.seen += self.sock.recv(65536)
            except TimeoutError:
                continue
        return True

    def wait_for(self, text: bytes, timeout_s: float, explain: Callable[[], object] = str) -> None:
        assert self.hears(text, timeout_s), (text, self.seen[-600:], explain())


def lit(picture: bytes) -> int:
    """How many pixels of a picture are not dark."""
    with Image.open(io.BytesIO(picture)) as image:
        histogram = image.convert("L").histogram()
    return sum(histogram[96:])


def test_a_long_password_opens_the_login_on_two_keyboards(
    room: Backend, vm: VirtualMachine, alice: User, bob: User, windows: Windows
) -> None:
    assert len(PASSWORD) == 40
    line = Line(room, vm)
    line.wait_for(b"told login:", BOOT_S)
    before = room.driver.consoles.screenshot(vm.external_id)
    with served() as windows.port:
        page = windows.open(alice, vm)
        sync_api.expect(page.locator("[data-console-words]")).to_have_text("Connected", timeout=30_000)
        for layout in ("us", "de"):
            assert logs_in(page, line, layout), (line.seen[-600:], save(room, vm))
            if layout == "us":
                type_text(page, "base64 -d /etc/de | doas loadkmap; exit", layout=layout)
                time.sleep(2)
        second = handed_over(page, windows, vm, bob)
        exchange_clipboards(second, line)
    line.sock.close()
    after = room.driver.consoles.screenshot(vm.external_id)
    # Something was written on a dark screen, and more of it than before.
    assert 200 < lit(before.data) < lit(after.data) < 200_000
    with driver_for(vm.provider) as driver:
        Camera(vm.provider).take(driver, vm)
    page_picture, row_picture = screenshots.read(vm.uuid, "page"), screenshots.read(vm.uuid, "row")
    assert page_picture is not None
    assert row_picture is not None
    assert len(row_picture) < len(page_picture) < 60_000
    assert lit(page_picture) > 200


def logs_in(page: Any, line: Line, layout: str) -> bool:
    """Whether the guest itself says, on the other line, that this is the user's shell.

    On a busy machine what is typed can come before the prompt that it is for, and is lost: then once more, from a new
    one.
    """
    mark = f"typed-{layout}"
    for _ in range(3):
        type_text(page, "ada", layout=layout)
        # The password is asked for in a moment; what is typed before that would be shown and lost.
        time.sleep(3)
        assert type_text(page, PASSWORD, layout=layout, secret=True).startswith("Typed 41 characters")
        time.sleep(3)
        type_text(page, f"doas sh -c 'echo {mark}-'$(id -un)' > /dev/ttyS0'", layout=layout)
        if line.hears(f"{mark}-ada".encode(), 15):
            return True
        page.locator("canvas").click()
        for key in ("Control+c", "Control+d"):
            page.keyboard.press(key)
            time.sleep(3)
    return False


def handed_over(first: Any, windows: Windows, vm: VirtualMachine, to: User) -> Any:
    """A second browser, which watches until the first one gives it the keyboard."""
    second = windows.open(to, vm)
    sync_api.expect(second.locator("[data-console-banner]")).to_contain_text("you watch.", timeout=30_000)
    sync_api.expect(second.locator("[data-console-panel-open=type]")).to_be_disabled()
    second.locator("[data-console-banner] [data-say=ask]").click()
    first.locator("[data-console-banner] [data-say=give]").click(timeout=30_000)
    sync_api.expect(second.locator("[data-console-panel-open=type]")).to_be_enabled(timeout=30_000)
    sync_api.expect(first.locator("[data-console-panel-open=type]")).to_be_disabled()
    return second


def exchange_clipboards(page: Any, line: Line) -> None:
    """What is copied in the guest is on the page, and what the page sends can be pasted in the guest."""
    type_text(page, "doas sh /etc/clipboard", layout="de")
    line.wait_for(clipboard_agent.GIVEN, 60)
    page.locator("[data-console-panel-open=clipboard]").click()
    text = page.locator("[data-clipboard-text]")
    sync_api.expect(text).to_have_value(clipboard_agent.COPIED_THERE, timeout=30_000)
    text.fill(clipboard_agent.COPIED_HERE)
    page.locator("[data-clipboard-do=send]").click()
    line.wait_for(clipboard_agent.TAKEN, 60)


def save(room: Backend, vm: VirtualMachine) -> str:
    """The screen in a file, for whoever reads why it failed."""
    file = Path(os.environ.get("TMPDIR", "/tmp")) / f"{room.name}-screen.ppm"
    file.write_bytes(room.driver.consoles.screenshot(vm.external_id).data)
    return str(file)
