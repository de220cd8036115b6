"""A day of a person with kvweb, on real parts: a machine is changed, put back, copied and taken away."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from lxml import etree
from playwright.sync_api import Error, Locator, Page, Route, expect

from tools.trial.hypervisor import volumes
from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

OWN = f"kvweb-test-day-{os.getpid()}"
"""What everything here is called: live tests of other modules sweep what begins with their own prefix."""
NET, POOL, VOLUME, COPY = f"{OWN}-net", f"{OWN}-pool", f"{OWN}-vol", f"{OWN}-copy"
IMAGE, SENT, FOUND, TEAM = f"{OWN}-golden", f"{OWN}-sent.img", f"{OWN}-found", f"{OWN} team"
PASSWORD = "second-light-2026"
SLOW_MS = 180_000
"""Generous: guests need some 15 s to their login on an idle machine without KVM, and tests share two cores."""
TWO_CHUNKS = 9 << 20


@pytest.fixture(autouse=True)
def _names_of_this_try(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second try meets the same portal, with what the first has left in it."""
    first, number = OWN, getattr(request.node, "execution_count", 1)
    if number > 1:
        for name in ("OWN", "NET", "POOL", "VOLUME", "COPY", "IMAGE", "SENT", "FOUND", "TEAM"):
            here = sys.modules[__name__]
            monkeypatch.setattr(here, name, str(getattr(here, name)).replace(first, f"{first}-{number}"))


@pytest.fixture
def folder(hypervisor: libvirt.virConnect) -> Iterator[Path]:
    """Where the pool goes: a folder that the host's machines may read. Nothing of this test outlives it in libvirt."""
    made = Path(tempfile.mkdtemp(prefix="kvweb-test-day-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    for domain in hypervisor.listAllDomains():
        if domain.name().startswith(OWN):
            # The portal may be about to switch it off itself.
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
    for path in volumes(hypervisor):
        if OWN in path:
            with contextlib.suppress(libvirt.libvirtError):
                hypervisor.storageVolLookupByPath(path).delete()
    for one in (*hypervisor.listAllStoragePools(), *hypervisor.listAllNetworks()):
        if one.name().startswith(OWN):
            if one.isActive():
                one.destroy()
            one.undefine()
    shutil.rmtree(made, ignore_errors=True)


def ours(hypervisor: libvirt.virConnect) -> set[str]:
    """Everything of this test that libvirt knows."""
    everything = (*hypervisor.listAllDomains(), *hypervisor.listAllStoragePools(), *hypervisor.listAllNetworks())
    names = {one.name() for one in everything} | {Path(path).name for path in volumes(hypervisor)}
    return {name for name in names if name.startswith(OWN)}


def answer(page: Page, button: str, typed: str = "", **fields: str) -> None:
    """Fill in the open dialog by the fields' names, send it, and see it close."""
    dialog = page.locator("dialog[open]")
    dialog.locator("h2").wait_for()
    for name, value in fields.items():
        dialog.locator(f"[name={name}]").fill(value)
    if typed:
        dialog.locator("#typed").fill(typed)
    dialog.get_by_role("button", name=button, exact=True).click()
    expect(dialog).to_have_count(0, timeout=SLOW_MS)


def visit(page: Page, address: str) -> None:
    """Go there, a second time when the page was just going somewhere itself."""
    try:
        page.goto(address)
    except Error as exc:
        if "ERR_ABORTED" not in exc.message:
            raise
        page.goto(address)


def press(page: Page, name: str) -> None:
    """Press an action in a page's head, wherever it is offered there."""
    header = page.locator(".page-header")
    header.get_by_role("button", name="More").wait_for()
    offered = header.get_by_role("link", name=name, exact=True).or_(header.get_by_role("button", name=name, exact=True))
    if not offered.first.is_visible():
        header.get_by_role("button", name="More").click()
        offered = page.get_by_role("menuitem", name=name, exact=True)
    offered.first.click()


def choose(select: Locator, text: str) -> None:
    """Choose the option that says so."""
    value = select.locator("option", has_text=text).first.get_attribute("value")
    select.select_option(value)


def state(page: Page) -> Locator:
    """Its badge; another one may say what waits for a restart."""
    return page.locator(".page-header .title-line .state").first


def devices(domain: libvirt.virDomain, what: str, flags: int = 0) -> list[str]:
    """An attribute of the machine's devices, as libvirt tells it."""
    found = etree.fromstring(domain.XMLDesc(flags))
    values = found.xpath(f"/domain/devices/{what}")
    return [str(one) for one in values] if isinstance(values, list) else []


class Serial:
    """The machine's serial console in a window of its own."""

    def __init__(self, page: Page, machine: str) -> None:
        self.page = page
        page.goto(f"{machine}console/serial")
        self.rows = page.locator(".xterm-rows")
        self.rows.wait_for()

    def log_in(self, host: str) -> None:
        expect(self.rows).to_contain_text(f"{host} login:", timeout=SLOW_MS)
        self.page.locator(".xterm-helper-textarea").focus()
        for line, reply in (("kvweb", "Password:"), (PASSWORD, "$")):
            self.type(line)
            expect(self.rows).to_contain_text(reply, timeout=SLOW_MS)

    def type(self, line: str) -> None:
        self.page.keyboard.type(line, delay=15)
        self.page.keyboard.press("Enter")

    def hears(self, command: str, reply: str) -> None:
        """Ask the guest until it says so: what is plugged in is there a moment later."""

        def asked() -> bool:
            self.page.locator(".xterm-helper-textarea").focus()
            self.type(f"clear; {command}")
            with contextlib.suppress(AssertionError):
                expect(self.rows).to_contain_text(re.compile(reply), timeout=5000)
                return True
            return False

        until(asked, timeout_s=SLOW_MS / 1000, said=f"“{command}” in the guest", explain=self.rows.inner_text)


def make_machine(page: Page, portal: Portal) -> str:
    page.goto(f"{portal.url}/vms/create")
    page.get_by_label("Name", exact=True).fill(OWN)
    page.locator("label", has_text="kvweb guest").first.click()
    page.locator("label", has_text="tiny").first.click()
    page.get_by_label("User name").fill("kvweb")
    page.get_by_label("Password", exact=True).or_(page.locator("[name=password]")).first.fill(PASSWORD)
    page.get_by_role("button", name="Create and start").click()
    page.wait_for_url(re.compile(r"/vms/[0-9a-f-]{36}/"))
    expect(state(page)).to_contain_text("Running", timeout=SLOW_MS)
    return page.url


def make_network(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/networks/create")
    page.fill("[name=name]", NET)
    page.locator("label.choice", has_text="Isolated").click()
    page.locator("[data-fill=cidr]").first.click()
    page.locator("#look >> text=It is free").wait_for()
    page.get_by_role("button", name="Create network").click()
    expect(state(page)).to_contain_text("Active", timeout=SLOW_MS)


def make_pool_and_volume(page: Page, portal: Portal, hypervisor: libvirt.virConnect, folder: Path) -> None:
    page.goto(f"{portal.url}/pools/create")
    page.fill("[name=name]", POOL)
    page.fill("[name=dir-path]", str(folder))
    page.get_by_role("button", name="Create pool").click()
    expect(state(page)).to_contain_text("Active", timeout=SLOW_MS)
    assert hypervisor.storagePoolLookupByName(POOL).isActive()
    page.goto(f"{portal.url}/volumes/create")
    page.fill("[name=name]", VOLUME)
    choose(page.locator("[name=pool]"), POOL)
    page.fill("[name=size_gib]", "1")
    page.get_by_role("button", name="Create volume").click()
    expect(state(page)).to_contain_text("Not attached", timeout=SLOW_MS)
    assert [path for path in volumes(hypervisor) if path.startswith(str(folder))]


def send_image(page: Page, portal: Portal, tmp_path: Path) -> None:
    """The line breaks after the first chunk, the person reloads the page, and the rest is sent."""
    file = tmp_path / SENT
    file.write_bytes(os.urandom(TWO_CHUNKS))
    chunks = re.compile(r"/transfer/.*/upload/\d+$")

    def breaks(route: Route) -> None:
        if route.request.url.endswith("/upload/0"):
            route.continue_()
        else:
            route.abort()

    page.route(chunks, breaks)
    page.goto(f"{portal.url}/images/add?from=upload")
    page.locator("[data-upload-file]").set_input_files(file)
    page.get_by_label(re.compile("^Title")).fill(f"{OWN} sent")
    page.get_by_label(re.compile("Name in the pool")).fill(SENT)
    if page.locator("select[name=place]").count():
        choose(page.locator("select[name=place]"), POOL)
    page.get_by_role("button", name="Send the file").click()
    expect(page.get_by_text("Trying again")).to_be_visible(timeout=SLOW_MS)
    page.unroute(chunks)
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_text("Continue with the same file")).to_be_visible()
    page.locator("[data-upload-file]").set_input_files(file)
    expect(page.get_by_text("Create a machine from it")).to_be_visible(timeout=SLOW_MS)


def attach_volume(page: Page, portal: Portal) -> None:
    """From the volume's own page."""
    page.goto(f"{portal.url}/volumes/?q={VOLUME}")
    page.get_by_role("link", name=VOLUME, exact=True).click()
    page.locator(".card", has_text="Attach it to").get_by_role("link", name=OWN, exact=True).click()
    page.get_by_role("button", name="Attach", exact=True).click()
    page.wait_for_url(re.compile(r"/vms/[0-9a-f-]{36}/"))


def go_back(page: Page, machine: str, domain: libvirt.virDomain, serial: Serial) -> None:
    """A snapshot with memory: what was typed in the guest afterwards never was."""
    serial.hears("told=before; echo told-$told", "told-before")
    # Whoever comes second sees the same line, and what it said last.
    second = page.context.new_page()
    second.goto(f"{machine}console/serial")
    expect(second.locator(".xterm-rows")).to_contain_text("told-before", timeout=SLOW_MS)
    let_guest_in(second, machine)
    second.close()
    page.goto(f"{machine}snapshots")
    page.get_by_role("link", name="Take a snapshot").first.click()
    answer(page, "Take snapshot", name="quiet")
    row = page.locator(".tree-list tbody tr", has_text="quiet")
    expect(row.get_by_role("link", name="Go back")).to_be_visible(timeout=SLOW_MS)
    assert domain.snapshotLookupByName("quiet").isCurrent()
    serial.hears("told=after; echo told-$told", "told-after")
    row.get_by_role("link", name="Go back").click()
    answer(page, "Go back")
    expect(page.get_by_text("Going back to a snapshot")).to_have_count(0, timeout=SLOW_MS)
    assert domain.isActive()
    # The guest is in another process now; its console comes back by itself.
    serial.hears("echo told-$told", "told-before")


def let_guest_in(page: Page, machine: str) -> None:
    """By a link, without an account: they see the line, and only that, until the link is taken back."""
    page.goto(f"{machine}guests")
    page.get_by_label("For whom").fill("Gina")
    page.get_by_label("Console").select_option("serial")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator(".guest-address").inner_text().split()[0]
    assert page.context.browser is not None
    guests = page.context.browser.new_context()
    guest = guests.new_page()
    guest.goto(link)
    expect(guest.locator(".xterm-rows")).to_contain_text("told-before", timeout=SLOW_MS)
    expect(guest.locator("[data-console-words]")).to_contain_text("watching only")
    assert "#" not in guest.url
    page.get_by_role("button", name="Take back").click()
    expect(guest.locator("[data-console-title]")).to_contain_text("The guest link was taken back", timeout=SLOW_MS)
    guests.close()


def see_file_systems(page: Page, machine: str, serial: Serial) -> None:
    """As the guest's agent tells them, as soon as somebody looks; the guest says the same."""
    page.goto(f"{machine}disks")
    root = page.locator(".guest-card li", has=page.get_by_text("/", exact=True))
    expect(root).to_contain_text("ext4 on vda", timeout=SLOW_MS)
    shown = int(root.locator("progress").get_attribute("value") or -1)
    serial.hears("df / | tail -n 1", r"\d+% /")
    (said,) = re.findall(r"(\d+)% /", serial.rows.inner_text())
    # df counts what is kept for root as nobody's.
    assert abs(shown - int(said)) <= 6


def change_settings(page: Page, machine: str, domain: libvirt.virDomain) -> None:
    page.goto(f"{machine}settings")
    page.get_by_role("link", name="Change the size").click()
    answer(page, "Change the size", vcpus="2", memory_mib="320")
    expect(page.locator(".pending-list")).to_contain_text("Memory: 256 MiB → 320 MiB", timeout=SLOW_MS)
    after = etree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    assert after.findtext("memory") == str(320 << 10)
    assert after.findtext("vcpu") == "2"


def copy_it(page: Page, portal: Portal, machine: str, hypervisor: libvirt.virConnect) -> None:
    """Switched off, it becomes a second machine, and an image."""
    page.goto(machine)
    press(page, "Force off")
    answer(page, "Force off")
    expect(state(page)).to_contain_text("Off", timeout=SLOW_MS)
    # What waited for the restart has come.
    page.goto(f"{machine}settings")
    expect(page.locator(".pending-list")).to_have_count(0)
    press(page, "Clone")
    page.locator("dialog .choice", has_text="Full copy").click()
    answer(page, "Clone", name=COPY)
    until(
        lambda: COPY in {one.name() for one in hypervisor.listAllDomains()},
        timeout_s=SLOW_MS / 1000,
        said="Cloning",
        explain=portal.jobs,
    )
    copy, domain = hypervisor.lookupByName(COPY), hypervisor.lookupByName(OWN)
    assert not set(devices(copy, "disk/source/@file")) & set(devices(domain, "disk[@device='disk']/source/@file"))
    assert not set(devices(copy, "interface/mac/@address")) & set(devices(domain, "interface/mac/@address"))
    page.goto(machine)
    press(page, "Make an image of it")
    answer(page, "Make image", name=IMAGE)
    visit(page, f"{portal.url}/images/?q={IMAGE}")
    expect(page.locator("tr", has_text=IMAGE)).to_contain_text("Ready", timeout=SLOW_MS)


def adopt(page: Page, portal: Portal, hypervisor: libvirt.virConnect) -> None:
    """A machine that was made beside the portal shows up by itself, and is handed to a project."""
    hypervisor.defineXML(
        f"<domain type='qemu'><name>{FOUND}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
        "<os><type>hvm</type></os></domain>"
    )
    page.goto(f"{portal.url}/projects/")
    page.fill("[name=name]", TEAM)
    page.get_by_role("button", name="Create the project").click()
    expect(page.locator("h1")).to_contain_text(TEAM)
    page.goto(f"{portal.url}/vms/?q={FOUND}")
    row = page.locator("tr", has_text=FOUND)
    expect(row).to_contain_text("Off", timeout=SLOW_MS)
    before = hypervisor.lookupByName(FOUND).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    row.get_by_role("link", name=FOUND, exact=True).click()
    press(page, "Hand to a project")
    choose(page.locator("dialog [name=project]"), TEAM)
    answer(page, "Hand over")
    expect(page.locator(".page-body")).to_contain_text(TEAM)
    # Whose it is, is the portal's own affair: nothing is written at the hypervisor.
    assert hypervisor.lookupByName(FOUND).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before


def take_away(page: Page, portal: Portal, machine: str, hypervisor: libvirt.virConnect) -> None:
    for name in (FOUND, COPY, OWN):
        visit(page, f"{portal.url}/vms/?q={name}")
        page.get_by_role("link", name=name, exact=True).click()
        delete(page, name)
        until(
            lambda: name not in {one.name() for one in hypervisor.listAllDomains()},  # noqa: B023 - asked at once
            timeout_s=SLOW_MS / 1000,
            said=f"Deleting {name}",
            explain=portal.jobs,
        )
    for where, name in (("images", IMAGE), ("images", SENT), ("volumes", VOLUME), ("pools", POOL), ("networks", NET)):
        visit(page, f"{portal.url}/{where}/?q={name}")
        page.locator("tbody a").first.click()
        delete(page, name)
        visit(page, f"{portal.url}/{where}/?q={name}")
        expect(page.locator("tr", has_text=name)).to_have_count(0, timeout=SLOW_MS)


def delete(page: Page, name: str) -> None:
    press(page, "Delete")
    dialog = page.locator("dialog[open]")
    dialog.locator("#typed").fill(name)
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_have_count(0, timeout=SLOW_MS)


def test_a_machine_is_changed_copied_and_taken_away(
    signed_in: Page, portal: Portal, hypervisor: libvirt.virConnect, folder: Path, tmp_path: Path
) -> None:
    page = signed_in
    until(
        lambda: portal.rows("select 1 from storage_image where title like 'kvweb guest%' and external_id != ''"),
        timeout_s=SLOW_MS / 1000,
        said="Adding the guest image",
        explain=portal.jobs,
    )
    machine = make_machine(page, portal)
    domain = hypervisor.lookupByName(OWN)

    # While it boots: somewhere to plug it in, and somewhere to keep things.
    make_network(page, portal)
    make_pool_and_volume(page, portal, hypervisor, folder)
    send_image(page, portal, tmp_path)
    serial = Serial(page.context.new_page(), machine)
    serial.log_in(OWN)

    # It runs, and gets disks and a card. Libvirt has them, and so has the guest.
    page.goto(f"{machine}disks")
    page.get_by_role("link", name="Attach a disk").click()
    answer(page, "Attach", size_gib="1")
    new = page.locator(".parts-list tbody tr", has_text="vdb")
    expect(new).to_contain_text("1 GiB", timeout=SLOW_MS)
    serial.hears("cat /proc/partitions", r"1048576 vdb")
    new.get_by_role("link", name="Grow").click()
    answer(page, "Grow", size_gib="2")
    expect(new).to_contain_text("2 GiB", timeout=SLOW_MS)
    assert domain.blockInfo("vdb")[0] == 2 << 30
    serial.hears("cat /proc/partitions", r"2097152 vdb")
    attach_volume(page, portal)
    see_file_systems(page, machine, serial)
    expect(page.locator(".parts-list tbody tr", has_text="vdc")).to_contain_text(VOLUME, timeout=SLOW_MS)
    page.goto(f"{machine}networks")
    page.get_by_role("link", name="Add a network card").click()
    choose(page.locator("dialog [name=network]"), NET)
    answer(page, "Add")
    expect(page.locator(".nic", has_text=NET)).to_contain_text("Plugged in", timeout=SLOW_MS)
    assert devices(domain, "interface/source/@network")[-1] == NET
    serial.hears("ls /sys/class/net; cat /proc/partitions", r"eth1[\s\S]*vdc")

    go_back(page, machine, domain, serial)
    serial.page.close()
    change_settings(page, machine, domain)
    page.get_by_role("link", name="Metrics").click()
    expect(page.locator('[data-chart="cpu"] [data-now]')).to_contain_text(re.compile(r"^\d.* %$"), timeout=SLOW_MS)
    expect(page.locator('[data-chart="cpu"] canvas')).to_have_count(1)

    copy_it(page, portal, machine, hypervisor)
    adopt(page, portal, hypervisor)
    take_away(page, portal, machine, hypervisor)
    until(lambda: not ours(hypervisor), timeout_s=60, said="Deleting all of it", explain=lambda: str(ours(hypervisor)))
    assert folder.exists()
