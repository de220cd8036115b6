"""Pictures of the portal for the documentation: a portal of its own on simulated clouds, looked at with Chromium.

python -m tools.screenshots                 write docs/screenshots/*.png; needs what `make test` installs
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tools.place import ROOT
from tools.trial.chromium import CHROMIUM
from tools.trial.portal import Portal
from tools.trial.waiting import until

FOLDER = ROOT / "docs" / "screenshots"
PASSWORD = "look-around-2026"  # noqa: S105 - of a portal that is gone a minute later
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
#: What a picture may weigh; a larger one is kept in fewer colours.
MOST_BYTES = 100 * 1024

#: Before the start, so that the machine's own hypervisor is not made the first provider.
SET_UP = f"""
from django.core.management import call_command
from providers.models import Provider
call_command("migrate", verbosity=0, interactive=False)
call_command("first_run", "--hypervisor", "none", "--password", {PASSWORD!r})
Provider.objects.update(name="Server room")
"""
CONTENT = """
from django.conf import settings
from kvweb.accounts.models import Project, User
from kvweb.accounts.services import add_member, create_project, create_user
from providers import services
from providers.registry import plugin
from vms.models import VirtualMachine
from vms.services import assign

admin = User.objects.get(username="admin")
add = dict(email="", password="look-around-2026", is_administrator=False, user=admin)
alice, bob = (create_user(username=name, **add) for name in ("alice", "bob"))
shop = create_project(name="Shop", description="What customers see", user=admin)
lab = create_project(name="Laboratory", description="Where things may break", user=admin)
for project in (shop, lab):
    add_member(project, person=alice, role="member", user=admin)
add_member(shop, person=bob, role="operator", user=admin)
for vm in VirtualMachine.objects.all():
    home = {"web-1": shop, "web-2": shop, "db-1": shop, "mail": shop, "build-7": lab}.get(vm.name)
    if home:
        assign(vm, project=home, user=admin)
config = {"path": str(settings.KVWEB_HOME / "fake" / "second.sqlite3"), "demo": False, "create_s": 3, "cpus": 4}
services.add(kind="fake", name="Branch office", config=plugin("fake").config.read(config), user=admin)
"""
#: web-1 with a tree of snapshots, web-2 with a change that waits.
CHANGES = """
from kvweb.accounts.models import User
from kvweb.jobs import services as jobs
from vms import setting_services, snapshot_services
from vms.models import VirtualMachine

admin = User.objects.get(username="admin")
def done(do, of="web-1", **what):
    job = do(VirtualMachine.objects.get(name=of), user=admin, **what)
    assert not jobs.wait(job, timeout_s=30).is_active, what
take, go_back = snapshot_services.take_snapshot, snapshot_services.revert_to_snapshot
done(take, name="Fresh install", description="Debian 13, nothing else")
done(take, name="nginx and certificates", description="Ready for the shop")
done(take, name="Before the new theme", memory=True)
done(go_back, snapshot="nginx and certificates")
done(take, name="With Caddy instead", description="Tried on Friday")
done(setting_services.resize, of="web-2", vcpus=4, memory_mib=4096)
"""
#: An hour of use, as if the clouds had been measured for so long.
USE = """
import math, random, time
import numpy as np
from kvweb.metrics.ring import Ring
from kvweb.metrics.series import HOUR, Measure
from kvweb.metrics.store import Reader, folder_of
from providers.models import Provider

random.seed(7)
levels = {Measure.CPU_PERCENT: 34, Measure.MEMORY_MIB: 0, Measure.DISK_READ: 9e5, Measure.DISK_WRITE: 22e5,
          Measure.DISK_READS: 25, Measure.DISK_WRITES: 60, Measure.NET_RX: 14e5, Measure.NET_TX: 4e5, Measure.LOAD: 3.2}
for provider in Provider.objects.all():
    folder, deadline = folder_of(provider.uuid), time.time() + 150
    while (found := Reader(folder).newest(now=time.time())) is None and time.time() < deadline:
        time.sleep(1)
    (columns, newest), now = found, time.time()
    ring, last = Ring(folder / "hour.ring", HOUR, writable=True), HOUR.number(now)
    for name, column in columns.items():
        phase, noise = random.uniform(0, 6), 0.0
        for number in range(last - 358, last - 1):
            noise = 0.8 * noise + random.gauss(0, 0.05)
            share = max(0.05, 0.55 + 0.35 * math.sin(number / 40 + phase) + 0.1 * math.sin(number / 7) + noise)
            values = np.array([[levels[one] * share for one in Measure]], np.float32)
            values[0, Measure.MEMORY_MIB] = newest[column, Measure.MEMORY_MIB] * (0.9 + 0.1 * share)
            ring.write(number, np.array([column]), values)
"""


@contextmanager
def portal() -> Iterator[Portal]:
    """A portal with two simulated clouds, a few people and projects; gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="kvweb-pictures-", dir="/tmp"))
    running = Portal(home)
    try:
        running.manage(SET_UP)
        running.start()
        until(lambda: running.rows("select 1 from vms_virtualmachine"), timeout_s=60, said="Reading the inventory")
        running.manage(CONTENT)
        ready = "select count(*) from providers_provider where health = 'ok'"
        until(lambda: running.rows(ready) == [(2,)], timeout_s=60, said="Checking both providers")
        running.manage(CHANGES)
        running.manage(USE)
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


class Camera:
    """One signed-in browser window, and where its pictures go."""

    def __init__(self, browser: Browser, address: str, *, size: dict[str, int], scheme: str = "light") -> None:
        self.address = address
        context = browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(20_000)
        self.page: Page = context.new_page()
        self.page.goto(f"{address}/")
        self.page.locator("[name=login]").fill("admin")
        self.page.locator("[name=password]").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{address}/")

    def open(self, path: str) -> Page:
        self.page.goto(path if path.startswith("http") else f"{self.address}{path}")
        self.page.wait_for_load_state("load")
        return self.page

    def take(self, name: str, *, pause_ms: int = 700) -> None:
        """The window as it is, after a moment in which fonts and the event stream arrive."""
        self.page.wait_for_timeout(pause_ms)
        file = FOLDER / f"{name}.png"
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        picture.save(file, optimize=True)
        if file.stat().st_size > MOST_BYTES:
            picture.quantize(colors=256, dither=Image.Dither.NONE).save(file, optimize=True)
        print(f"  {file.name}  {file.stat().st_size // 1024} KiB", flush=True)


def create(camera: Camera, name: str, *, image: str, size: str) -> str:
    """Fill in the form as a person does and send it; returns the address of the machine's page."""
    page = fill_in(camera, name, image=image, size=size)
    page.get_by_role("button", name="Create and start").click()
    page.wait_for_url(re.compile(r"/vms/[0-9a-f-]{36}/"))
    return page.url


def fill_in(camera: Camera, name: str, *, image: str, size: str) -> Page:
    page = camera.open("/vms/create")
    choose(page, "project", "Shop")
    choose(page, "provider", "Branch office")
    page.get_by_label("Name", exact=True).fill(name)
    page.locator("label", has_text=image).first.click()
    page.locator("label", has_text=size).first.click()
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password", exact=True).or_(page.locator("[name=password]")).first.fill(PASSWORD)
    return page


def choose(page: Page, field: str, text: str) -> None:
    """A choice of the create form, whether it is shown as a list or as cards."""
    found = page.locator(f"select[name={field}]")
    if found.count():
        value = found.locator("option", has_text=text).first.get_attribute("value")
        found.select_option(value)
    else:
        page.locator(f"label:has([name={field}])", has_text=text).first.click()
    page.wait_for_timeout(800)


def log_in(page: Page, machine: str) -> None:
    """Sign in at the serial line and look around, so that the picture shows something."""
    rows = page.locator(".xterm-rows")
    expect(rows).to_contain_text(f"{machine} login:", timeout=30_000)
    page.locator(".xterm-helper-textarea").focus()
    lines = {"alice": "Password:", PASSWORD: "$", "uname -a": "Linux", "ip a": "inet", "free": "Mem"}
    for line, answer in lines.items():
        page.keyboard.type(line, delay=10)
        page.keyboard.press("Enter")
        expect(rows).to_contain_text(answer, timeout=15_000)
    page.wait_for_timeout(600)


def take_all(browser: Browser, address: str) -> None:
    desk = Camera(browser, address, size=DESKTOP)
    page = fill_in(desk, "shop-4", image="debian-13", size="medium")
    page.evaluate("window.scrollTo(0, 0)")
    desk.take("create")
    machine = create(desk, "shop-3", image="debian-13", size="small")
    expect(desk.page.locator("body")).to_contain_text("Running", timeout=60_000)
    expect(desk.page.locator("body")).to_contain_text(re.compile(r"192\.168\.\d+\.\d+"), timeout=60_000)
    desk.take("machine")
    # More CPUs than that provider has left.
    create(desk, "batch-1", image="alpine-3.22", size="xlarge")
    expect(desk.page.locator("body")).to_contain_text("Not created", timeout=60_000)
    # Without the note that it is being made.
    desk.page.reload()
    desk.take("failed")

    page = desk.open(f"{machine}console/vnc")
    page.locator("canvas").first.wait_for()
    desk.take("screen", pause_ms=6000)
    page = desk.open(f"{machine}console/serial")
    log_in(page, "shop-3")
    desk.take("serial")

    pictures: tuple[tuple[str, str], ...] = (("dashboard", "/"), ("machines", "/vms/"), ("jobs", "/jobs/"))
    for name, path in (*pictures, ("providers", "/providers/"), ("images", "/images/add"), ("pools", "/pools/create")):
        desk.open(path)
        desk.take(name)
    take_changes(desk)

    night = Camera(browser, address, size=DESKTOP, scheme="dark")
    night.open("/vms/")
    night.take("machines-dark")
    phone = Camera(browser, address, size=PHONE)
    phone.open("/vms/")
    phone.take("machines-phone")
    follow(phone.page, "web-1")
    phone.page.get_by_role("link", name="Snapshots").click()
    phone.take("snapshots-phone")


def follow(page: Page, name: str) -> None:
    """From a list to the page of one."""
    page.get_by_role("link", name=name, exact=True).first.click()
    page.locator(".page-header .crumbs").wait_for()


def take_changes(desk: Camera) -> None:
    """What can be changed of a machine, and what is around it."""
    for tab, name in (("Settings", "web-2"), ("Metrics", "web-2"), ("Snapshots", "web-1")):
        follow(desk.open(f"/vms/?q={name}"), name)
        desk.page.get_by_role("link", name=tab).first.click()
        desk.take(tab.lower(), pause_ms=2500 if tab == "Metrics" else 700)
    page = desk.page
    page.get_by_role("link", name="Disks").click()
    page.get_by_role("link", name="Attach a disk").click()
    page.locator("dialog[open] h2").wait_for()
    desk.take("attach")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Clone").click()
    page.locator("dialog[open] h2").wait_for()
    desk.take("clone")
    page = desk.open("/networks/")
    follow(page, "default")
    desk.take("network")
    page = desk.open("/providers/")
    follow(page, "Server room")
    page.get_by_role("link", name="Host", exact=True).click()
    desk.take("host", pause_ms=2500)


def main(work: Callable[[Browser, str], None] = take_all) -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("No Chromium was found; `make test` installs it.", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with portal() as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        work(browser, running.url)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
