"""The first hour of a person with kvweb, on real parts: sign in, make a machine, use it, take it away."""

from __future__ import annotations

import contextlib
import io
import re
import time

import libvirt
import numpy as np
import pytest
from playwright.sync_api import Error, Page, expect

from tools.trial.hypervisor import volumes
from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.browser, pytest.mark.slow]

NAME = "kvweb-test-live-first"
PASSWORD = "first-light-2026"
LOGIN_S = 120_000
"""Generous: the guest itself needs some 15 s on an idle machine without KVM, and tests share two cores."""


def picture(page: Page) -> np.ndarray:
    """What the noVNC canvas shows, as height × width × RGB."""
    from PIL import Image

    canvas = page.locator("canvas").first
    return np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB"))


def terminal(page: Page) -> str:
    """What the serial page's terminal shows."""
    return page.locator(".xterm-rows").inner_text()


def type_line(page: Page, text: str) -> None:
    page.keyboard.type(text, delay=15)
    page.keyboard.press("Enter")


def test_a_person_makes_uses_and_deletes_a_machine(
    signed_in: Page, portal: Portal, hypervisor: libvirt.virConnect
) -> None:
    page = signed_in
    until(
        lambda: portal.rows("select 1 from storage_image where title like 'kvweb guest%'"),
        timeout_s=60,
        said="Adding the guest image",
        explain=portal.jobs,
    )

    # A name and an image are enough; a password lets us in.
    page.goto(f"{portal.url}/vms/create")
    page.get_by_label("Name", exact=True).fill(NAME)
    page.locator("label", has_text="kvweb guest").first.click()
    page.locator("label", has_text="tiny").first.click()
    page.get_by_label("User name").fill("kvweb")
    page.get_by_label("Password", exact=True).or_(page.locator("[name=password]")).first.fill(PASSWORD)
    pressed = time.monotonic()
    page.get_by_role("button", name="Create and start").click()

    # Its page shows it being made, and then running, without a reload.
    page.wait_for_url(re.compile(r"/vms/[0-9a-f-]{36}/"))
    assert time.monotonic() - pressed < 10, "The click was not answered at once"
    vm_url = page.url
    expect(page.locator("body")).to_contain_text(re.compile("Creating|Running"))
    expect(page.locator("body")).to_contain_text("Running", timeout=60_000)
    domain = hypervisor.lookupByName(NAME)
    assert domain.isActive()

    # The screen: the guest's login, on a canvas that is not blank.
    page.goto(f"{vm_url.rstrip('/')}/console/vnc")
    page.locator("canvas").first.wait_for(timeout=30_000)
    until(lambda: np.unique(picture(page)).size > 1, timeout_s=120, said="A picture on the screen", every_s=1)

    # The serial line: log in with the password that cloud-init was given, read the host name back.
    page.goto(f"{vm_url.rstrip('/')}/console/serial")
    page.locator(".xterm-rows").wait_for()
    expect(page.locator(".xterm-rows")).to_contain_text(f"{NAME} login:", timeout=LOGIN_S)
    page.locator(".xterm-helper-textarea").focus()
    type_line(page, "kvweb")
    expect(page.locator(".xterm-rows")).to_contain_text("Password:", timeout=30_000)
    type_line(page, PASSWORD)
    until(lambda: re.search(r"[$#]\s*$", terminal(page).rstrip() + " "), timeout_s=30, said="A shell prompt")
    type_line(page, "echo name=$(hostname)")
    expect(page.locator(".xterm-rows")).to_contain_text(f"name={NAME}", timeout=30_000)

    # By now the screen shows the same prompt: white text on black, in the upper part.
    page.goto(f"{vm_url.rstrip('/')}/console/vnc")
    page.locator("canvas").first.wait_for(timeout=30_000)
    until(lambda: np.unique(picture(page)).size > 1, timeout_s=30, said="A picture on the screen")
    lit = (picture(page).max(axis=2) > 100).mean()
    assert 0.001 < lit < 0.5, f"{lit:.2%} of the screen is lit, which is no text"

    # Its address arrives by itself.
    page.goto(vm_url)
    expect(page.locator("body")).to_contain_text(re.compile(r"\b192\.168\.\d+\.\d+\b"), timeout=60_000)

    # Shut down softly, then delete for good.
    press(page, "Shut down")
    expect(page.locator(".page-header .state")).to_contain_text("Off", timeout=90_000)
    assert not domain.isActive()
    press(page, "Delete", typed=NAME)
    until(
        lambda: NAME not in {found.name() for found in hypervisor.listAllDomains()},
        timeout_s=30,
        said="Deleting",
        explain=portal.jobs,
    )
    # The machine leaves libvirt's list a moment before its volumes leave the pool.
    until(
        lambda: not [path for path in volumes(hypervisor) if NAME in path],
        timeout_s=30,
        said="Removing the machine's disks",
        explain=portal.jobs,
    )
    # The page of a machine that is gone goes to the list by itself, perhaps just now.
    with contextlib.suppress(Error):
        page.goto(f"{portal.url}/vms/")
    page.goto(f"{portal.url}/vms/")
    expect(page.locator("body")).not_to_contain_text(NAME)


def press(page: Page, name: str, typed: str = "") -> None:
    """Press an action of the machine's page and answer its question."""
    header = page.locator(".page-header")
    button = header.get_by_role("link", name=name, exact=True)
    if not button.first.is_visible():
        header.get_by_role("button", name="More").click()
        button = page.get_by_role("menuitem", name=name, exact=True)
    button.first.click()
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    if typed:
        dialog.get_by_role("textbox").fill(typed)
    dialog.get_by_role("button", name=name, exact=True).click()


def test_a_machine_started_with_virsh_changes_its_row_within_a_second(
    signed_in: Page, portal: Portal, hypervisor: libvirt.virConnect
) -> None:
    page = signed_in
    domain = hypervisor.defineXML(
        "<domain type='qemu'><name>kvweb-test-live-outside</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
        "<os><type>hvm</type></os></domain>"
    )
    page.goto(f"{portal.url}/vms/")
    row = page.locator("tr", has_text="kvweb-test-live-outside")
    expect(row).to_contain_text("Off")
    time.sleep(1)  # the stream is open
    domain.create()
    expect(row).to_contain_text("Running")

    # From now on it is measured, and whoever looks sees it soon: its one processor turns in the firmware.
    row.get_by_role("link", name="kvweb-test-live-outside", exact=True).click()
    page.get_by_role("link", name="Metrics").click()
    now = page.locator('[data-chart="cpu"] [data-now]')
    expect(now).to_contain_text(re.compile(r"^\d.* %$"), timeout=60_000)
    expect(page.locator('[data-chart="cpu"] canvas')).to_have_count(1)
    page.goto(f"{portal.url}/vms/")
    time.sleep(1)
    domain.destroy()
    expect(row).to_contain_text("Off")
    domain.undefine()
    expect(row).to_have_count(0)


def test_a_network_is_made_in_the_browser_and_stays_live_beside_virsh(
    signed_in: Page, portal: Portal, hypervisor: libvirt.virConnect
) -> None:
    page, name = signed_in, "kvweb-test-live-net"
    row = page.locator("tr", has_text=name)
    try:
        page.goto(f"{portal.url}/networks/create")
        page.fill("[name=name]", name)
        page.locator("label.choice", has_text="Isolated").click()
        page.locator("[data-fill=cidr]").first.click()
        page.locator("#look >> text=It is free").wait_for()
        page.get_by_role("button", name="Create network").click()
        expect(page.locator(".title-line .state")).to_contain_text("Active")
        network = hypervisor.networkLookupByName(name)
        page.goto(f"{portal.url}/networks/")
        network.destroy()
        expect(row).to_contain_text("Stopped")
        row.locator("a[data-menu]").click()
        page.locator("#row-menu").get_by_role("menuitem", name="Start", exact=True).click()
        expect(row).to_contain_text("Active")
        assert network.isActive()
        row.locator("a[data-menu]").click()
        page.locator("#row-menu").get_by_role("menuitem", name="Delete").click()
        page.fill("#dialog [name=typed]", name)
        page.locator("#dialog button[type=submit]").click()
        expect(row).to_have_count(0)
        assert name not in [one.name() for one in hypervisor.listAllNetworks()]
    finally:
        for one in hypervisor.listAllNetworks():
            if one.name() == name:
                if one.isActive():
                    one.destroy()
                one.undefine()
