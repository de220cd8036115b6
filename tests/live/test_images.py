"""Images in a browser, on the machine's libvirt: one is fetched from an address, one is sent, with a break."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from playwright.sync_api import Page, Route, expect

from tests.providers.transfer.vendor import Vendor, vendor
from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = pytest.mark.live

CONTENT = os.urandom(10 << 20)
#: Other tests at the same libvirt sweep what is called as their machines are.
OWN = f"kvweb-test-images-{os.getpid()}"


@pytest.fixture(scope="module")
def portal(hypervisor: libvirt.virConnect) -> Iterator[Portal]:
    """A portal that may fetch from this very machine, where the tests' vendor is."""
    home = Path(tempfile.mkdtemp(prefix="kvweb-live-", dir="/tmp"))
    running = Portal(home, KVWEB_IMAGE_HTTP="yes", KVWEB_IMAGE_NETWORKS="127.0.0.0/8")
    try:
        running.start()
        until(lambda: running.rows("select 1 from storage_pool"), timeout_s=60, said="Reading the pools")
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)
        for name in ("sent", "fetched"):
            for left in (volume(hypervisor, f"{OWN}-{name}.img"), volume(hypervisor, f"{OWN}-{name}.img.kvweb-part")):
                if left is not None:
                    left.delete()


@pytest.fixture
def shop() -> Iterator[Vendor]:
    with vendor() as running:
        yield running


def volume(connection: libvirt.virConnect, name: str) -> libvirt.virStorageVol | None:
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        try:
            return pool.storageVolLookupByName(name)
        except libvirt.libvirtError:
            continue
    return None


def digest_of(found: libvirt.virStorageVol) -> str:
    return hashlib.sha256(Path(found.path()).read_bytes()).hexdigest()


def test_a_file_is_sent_with_a_break_and_arrives_whole(
    signed_in: Page, portal: Portal, hypervisor: libvirt.virConnect, tmp_path: Path
) -> None:
    page = signed_in
    file = tmp_path / "mine.img"
    file.write_bytes(CONTENT)
    other = tmp_path / "other.img"
    other.write_bytes(os.urandom(len(CONTENT)))
    name = f"{OWN}-sent.img"

    # The line breaks after the first chunk, as often as it is tried.
    def broken(route: Route) -> None:
        if route.request.url.endswith("/upload/0"):
            route.continue_()
        else:
            route.abort()

    page.route(re.compile(r"/transfer/.*/upload/\d+$"), broken)
    page.goto(f"{portal.url}/images/add?from=upload")
    page.locator("[data-upload-file]").set_input_files(str(file))
    page.get_by_label(re.compile("^Title")).fill("Sent from here")
    page.get_by_label(re.compile("Name in the pool")).fill(name)
    page.get_by_role("button", name="Send the file").click()
    expect(page.get_by_text("Trying again")).to_be_visible(timeout=60_000)
    address = page.url
    assert "/images/" in address
    # The person reloads the page; another file is noticed, the same one goes on where it was.
    page.unroute(re.compile(r"/transfer/.*/upload/\d+$"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{portal.url}/images/")
    expect(page.locator("tr", has_text="Sent from here")).to_contain_text("Uploading")
    page.goto(address)
    expect(page.get_by_text("Continue with the same file")).to_be_visible()
    # The first chunk is there, and nobody takes it for an image yet.
    assert portal.rows("select received from storage_upload") == [(8 << 20,)]
    assert volume(hypervisor, f"{name}.kvweb-part") is not None
    page.locator("[data-upload-file]").set_input_files(str(other))
    expect(page.get_by_text("This is another file")).to_be_visible(timeout=30_000)
    page.locator("[data-upload-file]").set_input_files(str(file))
    expect(page.get_by_text("Create a machine from it")).to_be_visible(timeout=120_000)
    found = volume(hypervisor, name)
    assert found is not None
    assert digest_of(found) == hashlib.sha256(CONTENT).hexdigest()
    assert volume(hypervisor, f"{name}.kvweb-part") is None
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert hashlib.sha256(Path(download.value.path()).read_bytes()).digest() == hashlib.sha256(CONTENT).digest()
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.locator("#typed").fill(name)
    page.locator("dialog").get_by_role("button", name="Delete").click()
    until(lambda: volume(hypervisor, name) is None, timeout_s=60, said="Deleting the image", explain=portal.jobs)


def test_an_image_is_fetched_and_a_bad_one_leaves_nothing(
    signed_in: Page, portal: Portal, hypervisor: libvirt.virConnect, shop: Vendor
) -> None:
    page = signed_in
    name = f"{OWN}-{secrets.token_hex(3)}-fetched.img"
    url = shop.offer(f"/{name}", CONTENT)
    page.goto(f"{portal.url}/images/add?from=url")
    page.get_by_label("Address").fill(url)
    page.get_by_label(re.compile("^Checksum")).fill("sha256:" + "0" * 64)
    page.get_by_role("button", name="Add image").click()
    expect(page.get_by_text("The checksum does not fit")).to_be_visible(timeout=60_000)
    assert volume(hypervisor, name) is None
    page.get_by_role("link", name="Try again").click()
    page.get_by_label(re.compile("^Checksum")).fill(hashlib.sha256(CONTENT).hexdigest())
    page.get_by_role("button", name="Add image").click()
    expect(page.get_by_text("Create a machine from it")).to_be_visible(timeout=60_000)
    found = volume(hypervisor, name)
    assert found is not None
    assert digest_of(found) == hashlib.sha256(CONTENT).hexdigest()
    found.delete()
