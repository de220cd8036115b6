"""Uploads: chunks in their order with their hashes, breaks, limits, and nobody else's business."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from kvweb.accounts.models import Project, User
from kvweb.jobs.models import Job
from kvweb.portal.inventory import sync
from providers.base import ImageSpec
from providers.models import Provider
from providers.pool import driver_for
from storage import image_services, uploads
from storage.models import Image, Pool, Upload

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
RunJobs = Callable[[], list[Job]]
CHUNK = 1024
CONTENT = os.urandom(CHUNK * 2 + 300)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "TURN_S", 0.05)
    monkeypatch.setattr(image_services, "CHUNK_BYTES", CHUNK)


@pytest.fixture
def place(fake_provider: Provider) -> Pool:
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    found = Pool.objects.filter(provider=fake_provider).order_by("pk").first()
    assert found is not None
    return found


class Browser:
    """What the script in a browser does, step by step."""

    def __init__(self, client: Client, place: Pool, project: Project) -> None:
        self.client = client
        self.form = {"place": str(place.uuid), "project": str(project.uuid), "modified_ms": "1700000000000"}

    def begin(self, content: bytes, name: str = "mine.img", **values: str) -> Any:
        said = {**self.form, "file_name": name, "size": str(len(content)), **values}
        answer = self.client.post("/images/add/upload", said)
        if answer.status_code == 201:
            self.image = Image.objects.get(uuid=answer.json()["page"].split("/")[2])
            self.address = f"/transfer/images/{self.image.uuid}/upload"
        return answer

    def chunk(self, content: bytes, offset: int, *, digest: str | None = None) -> Any:
        piece = content[offset : offset + CHUNK]
        told = hashlib.sha256(piece).hexdigest() if digest is None else digest
        headers = {"X-Chunk-SHA256": told}
        return self.client.post(
            f"{self.address}/{offset}", piece, content_type="application/octet-stream", headers=headers
        )

    def finish(self, chain: str = "") -> Any:
        return self.client.post(f"/transfer/images/{self.image.uuid}/finish", {"chain": chain})

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(self.address).json()
        return found


def chain_of(content: bytes) -> str:
    chain = b""
    for start in range(0, len(content), CHUNK):
        chain = hashlib.sha256(chain + hashlib.sha256(content[start : start + CHUNK]).digest()).digest()
    return chain.hex()


@pytest.fixture
def browser(alice: User, project: Project, place: Pool, client_of: SignIn) -> Browser:
    return Browser(client_of(alice), place, project)


def stored(provider: Provider, image: Image) -> bytes:
    with driver_for(provider) as driver:
        assert driver.images is not None
        return b"".join(driver.images.read(image.external_id))


def test_a_file_arrives_chunk_by_chunk(browser: Browser, place: Pool, run_jobs: RunJobs) -> None:
    assert browser.begin(CONTENT, title="Mine", default_user="me").status_code == 201
    assert browser.state()["received"] == 0
    for offset in range(0, len(CONTENT), CHUNK):
        assert browser.chunk(CONTENT, offset).status_code == 200
    assert browser.state()["chain"] == chain_of(CONTENT)
    assert "Everything has arrived" in browser.client.get(f"/images/{browser.image.uuid}/").content.decode()
    assert browser.finish(chain_of(CONTENT)).json() == {"page": f"/images/{browser.image.uuid}/"}
    (job,) = [job for job in run_jobs() if job.kind == "image.finish"]
    assert (job.state, job.reason) == ("succeeded", "")
    browser.image.refresh_from_db()
    assert (browser.image.name, str(browser.image), browser.image.default_user) == ("mine.img", "Mine", "me")
    assert stored(place.provider, browser.image) == CONTENT
    assert not Upload.objects.exists()


def test_after_a_break_it_goes_on_where_it_was(browser: Browser, place: Pool, run_jobs: RunJobs) -> None:
    browser.begin(CONTENT)
    browser.chunk(CONTENT, 0)
    page = browser.client.get(f"/images/{browser.image.uuid}/").content.decode()
    assert "Continue with the same file" in page
    assert "Uploading" in page
    state = browser.state()
    assert (state["received"], state["chain"]) == (CHUNK, chain_of(CONTENT[:CHUNK]))
    for offset in (CHUNK, 2 * CHUNK):
        browser.chunk(CONTENT, offset)
    browser.finish()
    run_jobs()
    browser.image.refresh_from_db()
    assert stored(place.provider, browser.image) == CONTENT


def test_a_chunk_out_of_turn_is_refused_with_where_it_stands(browser: Browser) -> None:
    browser.begin(CONTENT)
    answer = browser.chunk(CONTENT, CHUNK)
    assert (answer.status_code, answer.json()["received"]) == (409, 0)
    browser.chunk(CONTENT, 0)
    # Its answer was lost, and the browser sends it again.
    answer = browser.chunk(CONTENT, 0)
    assert (answer.status_code, answer.json()["received"]) == (409, CHUNK)
    assert browser.finish().status_code == 409


def test_a_damaged_chunk_is_refused_and_may_be_sent_again(browser: Browser) -> None:
    browser.begin(CONTENT)
    assert browser.chunk(CONTENT, 0, digest="0" * 64).status_code == 422
    assert browser.state()["received"] == 0
    assert browser.chunk(CONTENT, 0).status_code == 200


@pytest.mark.parametrize("length", [0, 100, CHUNK + 1])
def test_a_chunk_of_another_length_is_refused(browser: Browser, length: int) -> None:
    browser.begin(CONTENT)
    answer = browser.client.post(f"{browser.address}/0", CONTENT[:length], content_type="application/octet-stream")
    assert answer.status_code in {413, 422}
    assert browser.state()["received"] == 0


def test_another_file_is_noticed_by_its_chain(browser: Browser) -> None:
    browser.begin(CONTENT)
    other = os.urandom(len(CONTENT))
    for offset in range(0, len(CONTENT), CHUNK):
        browser.chunk(CONTENT if offset == 0 else other, offset)
    assert browser.finish(chain_of(CONTENT)).status_code == 409
    assert not Job.objects.filter(kind="image.finish").exists()


def test_a_wrong_checksum_of_the_whole_is_told(browser: Browser, run_jobs: RunJobs) -> None:
    browser.begin(CONTENT, checksum="sha256:" + "0" * 64)
    for offset in range(0, len(CONTENT), CHUNK):
        browser.chunk(CONTENT, offset)
    browser.finish()
    run_jobs()
    browser.image.refresh_from_db()
    assert browser.image.is_wanted
    assert "checksum" in browser.image.problem


def test_what_is_no_disk_is_refused_at_its_beginning(browser: Browser) -> None:
    browser.begin(b"Milk and eggs\n" * 200, "notes.img")
    answer = browser.chunk(b"Milk and eggs\n" * 200, 0)
    assert answer.status_code == 422
    assert answer.json()["reason"] == "This is a text file; bring a qcow2, raw or ISO image."
    assert Upload.objects.get(image=browser.image).received == 0


def test_an_image_that_names_other_files_is_not_taken(
    browser: Browser, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    import struct

    head = b"QFI\xfb" + struct.pack(">IQIIQI", 3, 512, 11, 16, 1 << 30, 0)
    evil = head.ljust(512, b"\0") + b"/etc/shadow"
    browser.begin(evil, "evil.qcow2")
    assert "another file" in browser.chunk(evil, 0).json()["reason"]
    # What counts is what lies in the pool at the end, whatever was said of its beginning.
    monkeypatch.setattr(uploads, "demand_image", lambda head: None)
    assert browser.chunk(evil, 0).status_code == 200
    browser.finish()
    run_jobs()
    browser.image.refresh_from_db()
    assert browser.image.is_wanted
    assert "another file" in browser.image.problem


def test_a_name_that_the_pool_holds_meanwhile_is_told_for_good(browser: Browser, place: Pool) -> None:
    browser.begin(CONTENT)
    with driver_for(place.provider) as driver:
        assert driver.images is not None
        driver.images.begin(ImageSpec(name="mine.img", portal_uuid="somebody else"), 10)
    answer = browser.chunk(CONTENT, 0)
    assert (answer.status_code, "already" in answer.json()["reason"]) == (422, True)


# -- limits ------------------------------------------------------------------------------------------------------------


def test_nobody_begins_more_uploads_than_allowed(browser: Browser, settings: Settings) -> None:
    settings.IMAGE_UPLOADS_PER_USER = 1
    assert browser.begin(CONTENT, "one.img").status_code == 201
    answer = browser.begin(CONTENT, "two.img")
    assert answer.status_code == 422
    assert "several uploads" in str(answer.json())


@pytest.mark.parametrize(
    ("size", "word"), [("0", "empty"), (str(2 << 30), "at most"), ("-1", "greater"), ("x", "whole number")]
)
def test_a_file_of_no_possible_size_is_refused(browser: Browser, settings: Settings, size: str, word: str) -> None:
    settings.IMAGE_MAX_GIB = 1
    answer = browser.begin(CONTENT, size=size)
    assert answer.status_code == 422
    assert word in str(answer.json())
    assert not Image.objects.filter(external_id="").exists()


def test_a_taken_name_is_told_before_anything_is_sent(browser: Browser) -> None:
    assert browser.begin(CONTENT).status_code == 201
    assert "name" in browser.begin(CONTENT).json()["errors"]


# -- whose business it is ----------------------------------------------------------------------------------------------


def test_nobody_else_sees_or_feeds_an_upload(
    browser: Browser, bob: User, charlie: User, root: User, client_of: SignIn
) -> None:
    browser.begin(CONTENT)
    for other in (bob, charlie, root):
        client = client_of(other)
        assert client.get(browser.address).status_code == 404
        sent = client.post(f"{browser.address}/0", CONTENT[:CHUNK], content_type="application/octet-stream")
        assert sent.status_code == 404
        assert client.post(f"/transfer/images/{browser.image.uuid}/finish").status_code == 404


def test_who_lost_the_right_cannot_go_on(browser: Browser, alice: User, project: Project) -> None:
    from kvweb.accounts.models import Membership, Role

    browser.begin(CONTENT)
    Membership.objects.filter(user=alice, project=project).update(role=Role.VIEWER)
    assert browser.chunk(CONTENT, 0).status_code == 403


def test_a_chunk_needs_the_pages_token(browser: Browser, alice: User) -> None:
    browser.begin(CONTENT)
    stranger = Client(enforce_csrf_checks=True)
    stranger.force_login(alice)
    answer = stranger.post(f"{browser.address}/0", CONTENT[:CHUNK], content_type="application/octet-stream")
    assert answer.status_code == 403
    assert browser.state()["received"] == 0


# -- giving up ---------------------------------------------------------------------------------------------------------


def unfinished(provider: Provider) -> list[str]:
    with driver_for(provider) as driver:
        assert driver.images is not None
        return [one.name for one in driver.images.unfinished()]


def test_a_cancelled_upload_leaves_nothing(browser: Browser, place: Pool, run_jobs: RunJobs) -> None:
    browser.begin(CONTENT)
    browser.chunk(CONTENT, 0)
    assert unfinished(place.provider) == ["mine.img"]
    browser.client.post(f"/images/{browser.image.uuid}/do/cancel-upload", {"confirmed": "1"})
    run_jobs()
    assert unfinished(place.provider) == []
    assert not Image.objects.filter(pk=browser.image.pk).exists()
    assert browser.chunk(CONTENT, CHUNK).status_code == 404


def test_an_upload_that_rests_too_long_is_given_up(browser: Browser, place: Pool, run_jobs: RunJobs) -> None:
    browser.begin(CONTENT)
    browser.chunk(CONTENT, 0)
    assert image_services.expire_uploads() == 0
    Upload.objects.update(touched_at=timezone.now() - timedelta(days=2))
    assert image_services.expire_uploads() == 1
    run_jobs()
    assert unfinished(place.provider) == []
    assert not Upload.objects.exists()


# -- out again ---------------------------------------------------------------------------------------------------------


def test_an_image_is_downloaded_by_who_may(
    browser: Browser, bob: User, charlie: User, client_of: SignIn, run_jobs: RunJobs
) -> None:
    browser.begin(CONTENT)
    for offset in range(0, len(CONTENT), CHUNK):
        browser.chunk(CONTENT, offset)
    browser.finish()
    run_jobs()
    address = f"/transfer/images/{browser.image.uuid}/file"
    assert address in browser.client.get(f"/images/{browser.image.uuid}/").content.decode()
    answer = browser.client.get(address)
    assert b"".join(answer.streaming_content) == CONTENT  # type: ignore[attr-defined]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mine.img"'
    assert client_of(bob).get(address).status_code == 403
    assert client_of(charlie).get(address).status_code == 404
