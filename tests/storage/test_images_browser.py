"""Pages of images in a real browser: accessible in both themes and widths, and the file chooser of an upload."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from kvweb.accounts.models import Project, User
from kvweb.portal.inventory import sync
from providers.models import Provider
from providers.pool import driver_for
from storage.models import Image, Pool, Upload
from tests.browsing import OpenPage, faults

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def images(fake_provider: Provider, project: Project, alice: User) -> dict[str, Image]:
    """One of each sort."""
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    pool = Pool.objects.filter(provider=fake_provider).order_by("name").first()
    assert pool is not None
    make = partial(Image.objects.create, pool=pool.external_id)
    found = {
        "ready": make(provider=fake_provider, external_id="i-x", name="debian.qcow2", title="Debian", os="debian",
                      default_user="debian", size_gib=2, project=project, source="https://example.org/debian.qcow2"),
        "failed": make(provider=fake_provider, name="lost.img", project=project, problem="Add the image failed: Gone."),
        "coming": make(provider=fake_provider, name="coming.img", project=project),
    }  # fmt: skip
    Upload.objects.create(image=found["coming"], user=alice, file_name="coming.img", size=100, received=40,
                          chunk_bytes=40)  # fmt: skip
    return found


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_are_accessible(
    images: dict[str, Image], alice: User, open_page: OpenPage, theme: str, width: int
) -> None:
    addresses = ["/images/", "/images/add", "/images/add?from=url", "/images/add?from=upload"]
    addresses += [f"/images/{image.uuid}/" for image in images.values()]
    addresses += [f"/images/{images['ready'].uuid}/ask/{action}" for action in ("describe", "delete")]
    page = open_page(alice, addresses[0], theme=theme, width=width)
    origin = page.url.removesuffix("/images/")
    found = []
    for address in addresses:
        page.goto(origin + address)
        found += [f"{address}: {fault}" for fault in faults(page)]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{address}: {wider} pixels wider than the window"] if wider > 0 else []
    assert found == []


def test_a_file_is_chosen_by_keyboard_and_what_is_wrong_is_said(
    images: dict[str, Image], alice: User, open_page: OpenPage, tmp_path: Path
) -> None:
    del images
    file = tmp_path / "coming.img"
    file.write_bytes(b"\0kvweb" * 1000)
    page = open_page(alice, "/images/add?from=upload")
    assert page.get_by_role("button", name="Send the file").is_disabled()
    page.locator("[data-upload-file]").focus()
    page.locator("[data-upload-file]").set_input_files(str(file))
    page.get_by_text("coming.img, 5.9 KiB").wait_for()
    page.get_by_role("button", name="Send the file").click()
    page.get_by_text("The pool holds an image “coming.img” already.").wait_for()
    assert Upload.objects.count() == 1


#: Name and content, what is said of it, and whether it may be sent all the same.
CHOSEN = [
    ("notes.txt", "Milk, eggs, crème fraîche\n".encode() * 100, "is a text file.", False),
    ("disk.img", b"PK\x03\x04" + bytes(900), "is a ZIP archive.", False),
    ("disk.qcow2.xz", b"\xfd7zXZ\x00" + bytes(900), "is packed.", False),
    ("nothing.img", b"", "The file is empty.", False),
    ("backup.old", b"\xeb\x63\x90" + bytes(900), "is not called like a disk image.", True),
    ("whole.img", b"\xeb\x63\x90" + bytes(900), "", True),
    ("layered", b"QFI\xfb" + bytes(900), "", True),
]


def test_a_file_that_is_no_disk_is_said_before_it_is_sent(
    images: dict[str, Image], alice: User, open_page: OpenPage, tmp_path: Path
) -> None:
    del images
    page = open_page(alice, "/images/add?from=upload")
    note, button = page.locator("[data-upload-note]"), page.get_by_role("button", name="Send the file")
    for name, content, says, may_send in CHOSEN:
        file = tmp_path / name
        file.write_bytes(content)
        page.locator("[data-upload-file]").set_input_files(str(file))
        page.get_by_text(f"{name},").first.wait_for()
        if says:
            sync_api.expect(note).to_contain_text(says)
        else:
            sync_api.expect(note).to_be_hidden()
        sync_api.expect(button).to_be_enabled(enabled=may_send)


NEWS = """async () => {
    const rows = await import(document.querySelector('script[src*="upload"]').src.replace(/upload[^/]*$/, "rows.js"));
    const part = document.querySelector("[data-live-src]");
    const html = await (await fetch(part.dataset.liveSrc, {headers: {"HX-Request": "true"}})).text();
    return rows.parse(html).map(rows.swap);
}"""


def test_news_bring_a_part_that_takes_files_and_spare_one_that_does(
    images: dict[str, Image], alice: User, open_page: OpenPage, tmp_path: Path
) -> None:
    file = tmp_path / "coming.img"
    file.write_bytes(b"kvweb" * 20)
    page = open_page(alice, f"/images/{images['coming'].uuid}/")
    part = page.locator("[data-upload]")
    part.get_by_text("Waiting for the rest").wait_for()
    part.evaluate("part => part.dataset.seen = 'yes'")
    assert page.evaluate(NEWS) == [True]
    assert part.get_attribute("data-seen") is None
    page.locator("[data-upload-file]").set_input_files(str(file))
    part.get_by_text("Waiting for the rest").wait_for(state="detached")
    assert page.evaluate(NEWS) == [False]
