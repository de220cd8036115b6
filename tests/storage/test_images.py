"""Images: added in three ways, described, shared, used, deleted; and what goes wrong on the way."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from kvweb.accounts.models import Project, User
from kvweb.audit.models import AuditEntry
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from kvweb.portal.inventory import sync
from providers import pool as driver_pool
from providers.base import DiskSpec, ImageSpec, VmSpec
from providers.models import Provider
from providers.pool import driver_for
from providers.registry import plugin
from storage.catalogue import catalogue
from storage.image_names import is_name, name_from
from storage.models import Image, Pool
from storage.selectors import usable_images
from storage.services import add_image_from_file
from tests.conftest import MakeVm
from tests.providers.transfer.vendor import Vendor, cut, vendor

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
RunJobs = Callable[[], list[Job]]
CONTENT = os.urandom(200_000)


@pytest.fixture
def shop(settings: Settings) -> Iterator[Vendor]:
    """A vendor in a network that the portal's settings allow."""
    settings.IMAGE_HTTP, settings.IMAGE_NETWORKS = True, ["127.0.0.0/8"]
    with vendor() as running:
        yield running


@pytest.fixture
def city(fake_provider: Provider) -> Provider:
    """The simulated cloud, read, and told to really fetch what it is asked for."""
    fake_provider.config = {**fake_provider.config, "fetches": True}
    fake_provider.save()
    driver_pool.forget(fake_provider)
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    return fake_provider


@pytest.fixture
def place(city: Provider) -> Pool:
    found = Pool.objects.filter(provider=city).order_by("pk").first()
    assert found is not None
    return found


@pytest.fixture
def admin(root: User, client_of: SignIn) -> Client:
    return client_of(root)


def wish(place: Pool, url: str, **values: str) -> dict[str, str]:
    return {"place": str(place.uuid), "project": "everybody", "url": url, **values}


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


# -- from an address ---------------------------------------------------------------------------------------------------


def test_an_image_is_fetched_unpacked_and_listed(admin: Client, place: Pool, shop: Vendor, run_jobs: RunJobs) -> None:
    packed = gzip.compress(CONTENT)
    digest = hashlib.sha256(packed).hexdigest()
    url = shop.offer("/builds/tiny.img.gz", packed)
    values = wish(place, url, title="Tiny", os="debian", default_user="debian", checksum=digest)
    answer = admin.post("/images/add/url", values)
    image = Image.objects.get(title="Tiny")
    assert answer.headers["Location"] == f"/images/{image.uuid}/"
    assert "Waiting for a worker" in shown(admin, f"/images/{image.uuid}/")
    (job,) = [job for job in run_jobs() if job.kind == "image.fetch"]
    assert (job.state, job.reason) == ("succeeded", "")
    image.refresh_from_db()
    assert (image.name, image.format, image.stored_bytes) == ("tiny.img", "raw", len(CONTENT))
    assert image.source == url
    page = shown(admin, f"/images/{image.uuid}/")
    assert f"/vms/create?provider={place.provider.uuid}&amp;image={image.uuid}" in page
    assert AuditEntry.objects.filter(verb="image.fetch", subject=image.subject, actor__username="root").exists()
    assert "Tiny" in shown(admin, "/images/?q=tiny")


def test_a_key_in_an_address_is_not_shown_to_others(admin: Client, place: Pool) -> None:
    admin.post("/images/add/url", wish(place, "https://example.org/x.img?signature=s3cret"))
    image = Image.objects.get(name="x.img")
    assert image.source == "https://example.org/x.img"
    assert "s3cret" not in shown(admin, f"/images/{image.uuid}/")
    assert "s3cret" not in str(AuditEntry.objects.get(verb="image.fetch").details)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://x/y"}, "url"),
        ({"url": "https://user:secret@example.org/x"}, "url"),
        ({"checksum": "md5:abc"}, "checksum"),
        ({"name": "../etc"}, "name"),
        ({"place": "nowhere"}, "place"),
        ({"project": ""}, "project"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(admin: Client, place: Pool, values: dict[str, str], field: str) -> None:
    answer = admin.post("/images/add/url", wish(place, "https://example.org/x.img") | values)
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in answer.content.decode() or field in {"place", "project"}
    assert not Image.objects.filter(external_id="").exists()


def test_a_failed_fetch_says_why_leaves_nothing_and_can_be_tried_again(
    admin: Client, place: Pool, shop: Vendor, run_jobs: RunJobs
) -> None:
    url = shop.behave("/x.img", cut(CONTENT, promised=len(CONTENT) * 2))
    admin.post("/images/add/url", wish(place, url, title="Half"))
    image = Image.objects.get(title="Half")
    for _ in range(4):
        Job.objects.filter(kind="image.fetch").update(not_before=None)
        run_jobs()
    image.refresh_from_db()
    assert image.is_wanted
    assert "broke off" in image.problem
    page = shown(admin, f"/images/{image.uuid}/")
    assert "Not created" in page
    with driver_for(place.provider) as driver:
        assert driver.images is not None
        assert driver.images.unfinished() == []
    again = f"/images/add?from=url&amp;again={image.problem_job}"
    assert again in page
    assert "Half" in shown(admin, again.replace("&amp;", "&"))
    del shop.odd["/x.img"]
    shop.offer("/x.img", CONTENT)
    admin.post(f"/images/add/url?again={image.problem_job}", wish(place, url, title="Whole"))
    run_jobs()
    assert not Image.objects.filter(title="Half").exists()
    assert Image.objects.get(title="Whole").external_id


def test_private_addresses_are_refused_without_the_setting(
    admin: Client, place: Pool, shop: Vendor, run_jobs: RunJobs, settings: Settings
) -> None:
    settings.IMAGE_NETWORKS = []
    admin.post("/images/add/url", wish(place, shop.offer("/x.img", CONTENT)))
    run_jobs()
    assert "private network" in Image.objects.get(name="x.img").problem
    assert shop.asked == []


def test_what_a_lost_worker_left_is_cleared_up(
    admin: Client, place: Pool, run_jobs: RunJobs, django_capture_on_commit_callbacks: Any
) -> None:
    admin.post("/images/add/url", wish(place, "https://example.org/lost.img"))
    job = Job.objects.get(kind="image.fetch")
    with driver_for(place.provider) as driver:
        assert driver.images is not None
        spec = ImageSpec.model_validate(job.params["spec"])
        key = driver.images.begin(spec, 1000)
        driver.images.write(key, 0, iter([b"half of it"]))
        Job.objects.filter(pk=job.pk).update(state="running", heartbeat_at="2020-01-01T00:00Z")
        jobs.reap()
        run_jobs()
        assert driver.images.unfinished() == []
    assert "went away" in Image.objects.get(name="lost.img").problem


@pytest.mark.parametrize("begun", ["before", "after"])
def test_an_image_that_was_done_when_its_worker_died_is_taken_over_unless_it_was_there_before(
    begun: str, admin: Client, place: Pool, run_jobs: RunJobs, django_capture_on_commit_callbacks: Any
) -> None:
    admin.post("/images/add/url", wish(place, "https://example.org/done.img"))
    job = Job.objects.get(kind="image.fetch")
    with driver_for(place.provider) as driver:
        assert driver.images is not None
        spec = ImageSpec.model_validate(job.params["spec"])
        key = driver.images.begin(spec, 1024)
        driver.images.write(key, 0, iter([bytes(1024)]))
        record = driver.images.finish(key, spec)
    started = timezone.now() + timedelta(hours=1 if begun == "after" else -1)
    Job.objects.filter(pk=job.pk).update(state="running", heartbeat_at="2020-01-01T00:00Z", started_at=started)
    jobs.reap()
    run_jobs()
    image = Image.objects.get(name="done.img", source__startswith="https")
    assert (image.external_id == record.external_id) is (begun == "before")
    assert bool(image.problem) is (begun == "after")


# -- from the catalogue ------------------------------------------------------------------------------------------------


def test_the_catalogue_is_added_from_with_one_click(admin: Client, fake_provider: Provider, run_jobs: RunJobs) -> None:
    """The simulated cloud only pretends to fetch here: there is no internet in tests."""
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    pool = Pool.objects.filter(provider=fake_provider).first()
    assert pool is not None
    page = shown(admin, "/images/add")
    assert "Debian 13" in page
    answer = admin.post(
        "/images/add/catalogue", {"entry": "debian-13", "place": str(pool.uuid), "project": "everybody"}
    )
    assert answer.status_code == 302
    run_jobs()
    image = Image.objects.get(name="debian-13-generic-amd64.qcow2")
    assert (image.title, image.default_user, image.external_id != "") == ("Debian 13 “trixie”", "debian", True)
    again = admin.post("/images/add/catalogue", {"entry": "debian-13", "place": str(pool.uuid), "project": "everybody"})
    assert again.status_code == 422
    assert "is in this pool already" in again.content.decode()


def test_every_entry_of_the_catalogue_is_complete() -> None:
    entries = catalogue().values()
    assert len(entries) >= 15
    assert len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert is_name(entry.name), entry.name
        assert entry.checksum_url.startswith("https://")
        assert entry.is_iso or entry.default_user
        assert entry.is_iso == entry.url.endswith(".iso")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://x.org/a/debian.qcow2?x=1", "debian.qcow2"),
        ("https://x.org/FreeBSD.qcow2.xz", "FreeBSD.qcow2"),
        ("C:\\images\\my disk (1).img", "my-disk-1-.img"),
        ("../../etc/passwd", "passwd"),
        ("https://x.org/", ""),
        ("Ubuntu%2024.img", "Ubuntu-24.img"),
    ],
)
def test_a_name_is_taken_from_the_file(source: str, name: str) -> None:
    assert name_from(source) == name


# -- whose it is -------------------------------------------------------------------------------------------------------


def test_an_image_of_a_project_is_its_members_alone(
    alice: User, bob: User, charlie: User, project: Project, place: Pool, shop: Vendor, client_of: SignIn,
    run_jobs: RunJobs,
) -> None:  # fmt: skip
    values = wish(place, shop.offer("/ours.img", CONTENT), project=str(project.uuid))
    assert client_of(alice).post("/images/add/url", values).status_code == 302
    run_jobs()
    image = Image.objects.get(name="ours.img")
    assert image.project == project
    assert "ours.img" in shown(client_of(bob), "/images/")
    assert "ours.img" not in shown(client_of(charlie), "/images/")
    assert client_of(charlie).get(f"/images/{image.uuid}/").status_code == 404
    # Bob operates; he neither adds nor deletes.
    assert client_of(bob).get("/images/add").status_code == 404
    assert client_of(bob).post(f"/images/{image.uuid}/do/delete", {"typed": "ours.img"}).status_code == 302
    assert Image.objects.filter(pk=image.pk).exists()
    everybody = client_of(alice).post("/images/add/url", values | {"project": "everybody", "name": "another"})
    assert everybody.status_code == 422


def test_a_machine_of_another_project_cannot_be_made_from_it(project: Project, place: Pool) -> None:
    other = Project.objects.create(name="Quay")
    Image.objects.create(provider=place.provider, external_id="i-x", name="ours", project=project)
    assert "ours" in {image.name for image in usable_images(place.provider, project)}
    assert "ours" not in {image.name for image in usable_images(place.provider, other)}


def test_an_administrator_shares_it_with_everybody(
    admin: Client, charlie: User, project: Project, place: Pool, client_of: SignIn
) -> None:
    image = Image.objects.create(provider=place.provider, external_id="i-x", name="ours", project=project)
    assert client_of(charlie).get(f"/images/{image.uuid}/").status_code == 404
    admin.post(f"/images/{image.uuid}/do/share", {"project": ""})
    assert client_of(charlie).get(f"/images/{image.uuid}/").status_code == 200


# -- one image ---------------------------------------------------------------------------------------------------------


def test_it_is_described(admin: Client, place: Pool) -> None:
    image = Image.objects.create(provider=place.provider, external_id="i-x", name="disk.img")
    said = {"known_as": "Our own", "os": "debian", "default_user": "deb", "min_memory_mib": "768"}
    admin.post(f"/images/{image.uuid}/do/describe", said)
    image.refresh_from_db()
    assert (str(image), image.os, image.default_user, image.min_memory_mib) == ("Our own", "debian", "deb", 768)


def test_it_is_deleted_when_its_name_was_typed(admin: Client, place: Pool, shop: Vendor, run_jobs: RunJobs) -> None:
    admin.post("/images/add/url", wish(place, shop.offer("/gone.img", CONTENT)))
    run_jobs()
    image = Image.objects.get(name="gone.img")
    admin.post(f"/images/{image.uuid}/do/delete", {"typed": "something"})
    assert not Job.objects.filter(kind="image.delete").exists()
    admin.post(f"/images/{image.uuid}/do/delete", {"typed": "gone.img"})
    run_jobs()
    assert not Image.objects.filter(pk=image.pk).exists()


def test_it_is_not_deleted_while_machines_use_it(
    admin: Client, charlie: User, client_of: SignIn, place: Pool, make_vm: MakeVm
) -> None:
    web = make_vm(name="web")
    image = Image.objects.create(
        provider=place.provider, external_id="i-x", name="base.img", used_by=[web.external_id, "gone-since"]
    )
    page = shown(admin, f"/images/{image.uuid}/")
    assert f"/vms/{web.uuid}/" in page
    assert "A machine uses it." in page
    admin.post(f"/images/{image.uuid}/do/delete", {"typed": "base.img"})
    assert not Job.objects.filter(kind="image.delete").exists()
    # A stranger learns how many there are, and not which.
    page = shown(client_of(charlie), f"/images/{image.uuid}/")
    assert "1 machine of other projects" in page
    assert "web" not in page.split("Machines that use it")[1]


def test_the_provider_has_the_last_word(admin: Client, city: Provider, run_jobs: RunJobs) -> None:
    """A machine that the portal has not read yet keeps its image too."""
    image = Image.objects.filter(provider=city, is_iso=False).first()
    assert image is not None
    with driver_for(city) as driver:
        driver.machines.create(VmSpec(name="unseen", disks=(DiskSpec(image=image.external_id),), start=False))
    admin.post(f"/images/{image.uuid}/do/delete", {"typed": image.name})
    run_jobs()
    image.refresh_from_db()
    assert "Delete the image failed" in image.problem


def test_a_provider_without_images_is_not_offered(admin: Client, city: Provider) -> None:
    declared = plugin("fake").declares
    assert declared.images is not None
    city.capabilities = declared.model_copy(update={"images": None}).to_json()
    city.save()
    assert "No place to add it" in shown(admin, "/images/add")


# -- at set-up ---------------------------------------------------------------------------------------------------------


def test_the_guest_that_another_portal_brings_in_is_waited_for_and_an_abandoned_one_replaced(
    city: Provider, tmp_path: Path, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "guest.img"
    file.write_bytes(CONTENT)
    with driver_for(city) as driver:
        assert driver.images is not None
        driver.images.begin(ImageSpec(name="guest.img", portal_uuid="another portal"), 10)
        job = add_image_from_file(city, path=file, name="guest.img", title="Guest")
        run_jobs()
        job.refresh_from_db()
        assert (job.state, job.not_before is not None) == ("queued", True)
        assert [one.portal_uuid for one in driver.images.unfinished()] == ["another portal"]
        monkeypatch.setattr("storage.jobs._ABANDONED", timedelta(0))
        for _ in range(2):
            Job.objects.update(not_before=None)
            run_jobs()
    assert Image.objects.get(name="guest.img").stored_bytes == len(CONTENT)
