"""Volumes: whose they are, what people make of them, and what nobody may do to another's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from kvweb.accounts.models import Project, User
from kvweb.audit.models import AuditEntry
from kvweb.events.models import Event
from kvweb.jobs.models import Job, JobState
from kvweb.portal.inventory import sync
from providers.base import DiskRecord, DiskSpec, PowerState, VmRecord, VmSpec, VolumeRecord, VolumeSpec
from providers.models import Health, Provider
from providers.pool import driver_for
from providers.resource_jobs import take_identity
from storage import volume_inventory, volume_jobs, volume_services
from storage.models import Image, Pool, Volume
from tests.conftest import MakeVm
from vms import inventory as vms
from vms import services as vm_services
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
RunJobs = Callable[[], list[Job]]


@pytest.fixture
def synced(fake_provider: Provider) -> Provider:
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    return fake_provider


@pytest.fixture
def make_volume(synced: Provider, project: Project) -> Callable[..., Volume]:
    """A volume that is really there, with its row."""

    def make(**values: Any) -> Volume:
        name = values.pop("name", "data")
        with driver_for(synced) as driver:
            assert driver.volumes is not None
            record = driver.volumes.create(VolumeSpec(name=name, size_gib=2))
        volume_inventory.apply(synced, [record])
        Volume.objects.filter(external_id=record.external_id).update(**{"project": project, **values})
        return Volume.objects.get(external_id=record.external_id)

    return make


def form(**values: str) -> dict[str, str]:
    pool = Pool.objects.get(name="default")
    project = Project.objects.get(name="Harbour")
    return {"name": "data", "project": str(project.uuid), "pool": str(pool.uuid), "size_gib": "3", **values}


def shown(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_a_volume_is_made_grown_copied_and_deleted(
    synced: Provider, alice: User, client_of: SignIn, run_jobs: RunJobs
) -> None:
    client = client_of(alice)
    client.post("/volumes/create", form())
    volume = Volume.objects.get()
    assert "Creating" in shown(client, "/volumes/")
    run_jobs()
    volume.refresh_from_db()
    assert (volume.size_gib, volume.created_by) == (3, alice)
    client.post(f"/volumes/{volume.uuid}/do/grow", {"size_gib": "5"})
    run_jobs()
    client.post(f"/volumes/{volume.uuid}/do/clone", {"name": "data-2", "pool": str(volume.pool.uuid)})  # type: ignore[union-attr]
    run_jobs()
    volume.refresh_from_db()
    assert volume.size_gib == 5
    copy = Volume.objects.get(name="data-2")
    assert (copy.project, copy.size_gib) == (volume.project, 5)
    client.post(f"/volumes/{volume.uuid}/do/delete", {"typed": "data"})
    run_jobs()
    assert [one.name for one in Volume.objects.all()] == ["data-2"]
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        assert [one.name for one in driver.volumes.list()] == ["data-2"]
    verbs = set(AuditEntry.objects.filter(actor=alice).values_list("verb", flat=True))
    assert {"volume.create", "volume.grow", "volume.clone", "volume.delete"} <= verbs


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": ""}, "Give the volume a name."),
        ({"name": "../etc"}, "begin with a letter or digit"),
        ({"size_gib": "0"}, "At least 1 GiB."),
        ({"size_gib": "much"}, "Give whole GiB."),
        ({"pool": ""}, "Choose a pool."),
        ({"size_gib": "60000", "thick": "on"}, "has only"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    values: dict[str, str], sentence: str, synced: Provider, alice: User, client_of: SignIn
) -> None:
    answer = client_of(alice).post("/volumes/create", form(**values))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Volume.objects.exists()


def test_a_name_that_is_taken_is_told_before_anything_is_done(
    make_volume: Callable[..., Volume], alice: User, client_of: SignIn
) -> None:
    make_volume(name="data")
    answer = client_of(alice).post("/volumes/create", form())
    assert "has a volume called “data” already" in answer.content.decode()


def test_a_volume_never_shrinks(make_volume: Callable[..., Volume], alice: User, client_of: SignIn) -> None:
    volume = make_volume()
    answer = client_of(alice).post(f"/volumes/{volume.uuid}/do/grow", {"size_gib": "1"})
    assert answer.status_code == 422
    assert "A volume only grows" in answer.content.decode()


def test_a_failure_says_why_and_can_be_tried_again(
    synced: Provider, alice: User, client_of: SignIn, run_jobs: RunJobs
) -> None:
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        driver.volumes.create(VolumeSpec(name="data", size_gib=1))
    client = client_of(alice)
    client.post("/volumes/create", form(size_gib="7"))
    run_jobs()
    volume = Volume.objects.get()
    page = shown(client, f"/volumes/{volume.uuid}/")
    assert "failed:" in page
    assert "Try again" in page
    again = f"/volumes/create?again={volume.problem_job}"
    assert 'value="7"' in shown(client, again)
    client.post(again, form(name="data-2", size_gib="7"))
    run_jobs()
    assert [(one.name, one.size_gib) for one in Volume.objects.all()] == [("data-2", 7)]


def test_a_stranger_sees_and_changes_nothing(
    make_volume: Callable[..., Volume], charlie: User, client_of: SignIn
) -> None:
    volume = make_volume(name="ledger-disk")
    client = client_of(charlie)
    assert "ledger-disk" not in shown(client, "/volumes/")
    assert client.get(f"/volumes/{volume.uuid}/").status_code == 404
    assert client.post(f"/volumes/{volume.uuid}/do/delete", {"typed": "ledger-disk"}).status_code == 404
    assert shown(client, f"/volumes/rows?ids={volume.uuid}") == ""


def test_an_operator_sees_volumes_and_changes_none(
    make_volume: Callable[..., Volume], bob: User, client_of: SignIn
) -> None:
    volume = make_volume()
    client = client_of(bob)
    assert "data" in shown(client, "/volumes/")
    client.post(f"/volumes/{volume.uuid}/do/delete", {"typed": "data"})
    client.post(f"/volumes/{volume.uuid}/do/grow", {"size_gib": "9"})
    assert client.get("/volumes/create").status_code == 404
    assert not Job.objects.exists()


def test_nobodys_volumes_are_for_administrators_who_hand_them_over_untouched(
    make_volume: Callable[..., Volume], root: User, alice: User, project: Project, client_of: SignIn
) -> None:
    volume = make_volume(name="orphan", project=None)
    assert "orphan" not in shown(client_of(alice), "/volumes/")
    admin = client_of(root)
    assert "nobody" in shown(admin, "/volumes/?state=nobodys")
    admin.post(f"/volumes/{volume.uuid}/do/assign", {"project": str(project.uuid)})
    assert "orphan" in shown(client_of(alice), "/volumes/")
    assert not Job.objects.exists()


def test_a_machines_disk_is_its_projects_and_cannot_be_deleted_from_under_it(
    synced: Provider, make_vm: MakeVm, project: Project, alice: User, client_of: SignIn
) -> None:
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        made = driver.machines.create(VmSpec(name="web", disks=(DiskSpec(size_gib=1),), start=False))
        make_vm(name="web", external_id=made.external_id)
        volume_inventory.apply(synced, driver.volumes.list(), is_complete=True)
    volume = Volume.objects.get()
    assert (volume.project, volume.is_used) == (project, True)
    client = client_of(alice)
    assert 'href="/vms/' in shown(client, "/volumes/")
    client.post(f"/volumes/{volume.uuid}/do/delete", {"typed": volume.name})
    assert not Job.objects.exists()
    assert "A machine has it" in shown(client, f"/volumes/{volume.uuid}/menu")


def test_what_is_an_image_or_a_medium_is_no_volume_here(synced: Provider) -> None:
    image = Image.objects.filter(provider=synced).first()
    assert image is not None
    record = VolumeRecord(external_id=image.external_id, name=image.name)
    seed = VolumeRecord(external_id="s-1", name="web-seed.iso", format="iso", used_by=("vm-1",))
    volume_inventory.apply(synced, [record, seed, VolumeRecord(external_id="v-1", name="mine")])
    assert [one.name for one in Volume.objects.all()] == ["mine"]


def test_a_reading_without_news_writes_nothing(synced: Provider, django_assert_num_queries: Any) -> None:
    records = [VolumeRecord(external_id=f"v-{number}", name=f"v-{number}") for number in range(30)]
    volume_inventory.apply(synced, records, is_complete=True)
    events = Event.objects.count()
    # Images, pools, volumes; the two ends of the transaction, and the time of reading.
    with django_assert_num_queries(6):
        volume_inventory.apply(synced, records, is_complete=True)
    assert Event.objects.count() == events


def test_volumes_that_went_with_their_machine_leave_no_trace_and_lost_ones_are_told(
    synced: Provider, project: Project
) -> None:
    records = [
        VolumeRecord(external_id="v-1", name="kept"),
        VolumeRecord(external_id="v-2", name="disk", used_by=("x",)),
    ]
    volume_inventory.apply(synced, records, is_complete=True)
    Volume.objects.update(project=project)
    volume_inventory.apply(synced, [], is_complete=True)
    assert [(one.name, one.is_missing) for one in Volume.objects.all()] == [("kept", True)]


def test_whoever_looks_has_volumes_read_and_not_twice_in_a_row(
    synced: Provider, alice: User, client_of: SignIn, run_jobs: RunJobs
) -> None:
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        driver.volumes.create(VolumeSpec(name="found", size_gib=1))
    client = client_of(alice)
    client.post("/volumes/read", headers={"HX-Request": "true"})
    client.post("/volumes/read", headers={"HX-Request": "true"})
    assert Job.objects.filter(kind="volumes.read").count() == 1
    run_jobs()
    assert Volume.objects.get().name == "found"
    client.post("/volumes/read", headers={"HX-Request": "true"})
    assert Job.objects.filter(kind="volumes.read").count() == 1
    Pool.objects.update(volumes_at=timezone.now() - timedelta(minutes=1))
    client.post("/volumes/read", headers={"HX-Request": "true"})
    assert Job.objects.filter(kind="volumes.read").count() == 2


def test_nothing_can_be_done_while_the_provider_is_away(
    make_volume: Callable[..., Volume], alice: User, client_of: SignIn
) -> None:
    volume = make_volume()
    Provider.objects.update(health=Health.FAILED)
    client = client_of(alice)
    assert "Unreachable" in shown(client, "/volumes/")
    assert "cannot be reached at the moment" in shown(client, f"/volumes/{volume.uuid}/menu")
    client.post(f"/volumes/{volume.uuid}/do/delete", {"typed": "data"})
    assert not Job.objects.exists()


def test_a_creation_whose_worker_died_is_found_again_by_the_next_attempt(
    synced: Provider, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    spec = VolumeSpec(name="data", size_gib=1, pool=Pool.objects.get(name="default").external_id)
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        driver.volumes.create(spec)
    pool = Pool.objects.get(name="default")
    volume, job = volume_services.create(project=project, provider=synced, pool=pool, spec=spec, user=alice)
    Job.objects.filter(pk=job.pk).update(attempt=1)
    run_jobs()
    volume.refresh_from_db()
    job.refresh_from_db()
    assert (job.state, volume.is_wanted) == (JobState.SUCCEEDED, False)


def test_a_sync_that_finds_a_volume_first_leaves_one_row(
    synced: Provider, project: Project, alice: User, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool.objects.get(name="default")
    volume, _ = volume_services.create(
        project=project, provider=synced, pool=pool, spec=VolumeSpec(name="data", size_gib=1), user=alice
    )

    def found_meanwhile(row: Volume, external_id: str) -> None:
        Volume.objects.create(provider=synced, external_id=external_id, name="data")
        take_identity(row, external_id)

    monkeypatch.setattr("storage.volume_jobs.take_identity", found_meanwhile)
    run_jobs()
    assert [one.uuid for one in Volume.objects.all()] == [volume.uuid]


def test_volumes_are_read_hourly_where_nobody_looks(synced: Provider, run_jobs: RunJobs) -> None:
    volume_jobs.read_those_that_are_due()
    volume_jobs.read_those_that_are_due()
    assert Job.objects.filter(kind="volumes.read").count() == 1
    run_jobs()
    volume_jobs.read_those_that_are_due()
    assert Job.objects.filter(kind="volumes.read").count() == 1
    Pool.objects.update(volumes_at=timezone.now() - timedelta(hours=2))
    Job.objects.update(created_at=timezone.now() - timedelta(hours=2))
    Provider.objects.update(health=Health.FAILED)
    volume_jobs.read_those_that_are_due()
    assert Job.objects.filter(kind="volumes.read").count() == 1
    Provider.objects.update(health=Health.OK)
    volume_jobs.read_those_that_are_due()
    assert Job.objects.filter(kind="volumes.read").count() == 2


def test_a_volume_is_downloaded_by_those_who_may_change_it(
    make_volume: Callable[..., Volume], synced: Provider, alice: User, bob: User, client_of: SignIn
) -> None:
    volume = make_volume()
    content = b"ledger" * 1000
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        rest = [content]
        driver.volumes.upload(volume.external_id, lambda most: rest.pop() if rest else b"", length=len(content))
    answer: Any = client_of(alice).get(f"/transfer/volumes/{volume.uuid}/file")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content).startswith(content[:6])
    assert answer.headers["Content-Disposition"] == 'attachment; filename="data.qcow2"'
    assert AuditEntry.objects.filter(verb="volume.download", actor=alice).exists()
    refused: Any = client_of(bob).get(f"/transfer/volumes/{volume.uuid}/file")
    assert refused.url == f"/volumes/{volume.uuid}/"


def test_a_download_that_the_provider_refuses_says_why(
    make_volume: Callable[..., Volume], synced: Provider, alice: User, client_of: SignIn
) -> None:
    volume = make_volume()
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        driver.volumes.delete(volume.external_id)
    client = client_of(alice)
    assert client.get(f"/transfer/volumes/{volume.uuid}/file").status_code == 302
    assert "“data”:" in shown(client, f"/volumes/{volume.uuid}/")


def test_volumes_follow_what_machines_tell_of_their_disks(
    make_volume: Callable[..., Volume], synced: Provider, alice: User, client_of: SignIn
) -> None:
    volume = make_volume()

    def told(*disks: DiskRecord) -> Volume:
        record = VmRecord(external_id="vm-1", name="web", power=PowerState.STOPPED, disks=disks)
        vms.apply(synced, [record])
        return Volume.objects.get()

    has_it = told(DiskRecord(external_id="vda", volume=volume.external_id))
    assert (has_it.used_by, has_it.is_used) == (["vm-1"], True)
    assert "Attached" in shown(client_of(alice), "/volumes/")
    has_it_no_more = told()
    assert (has_it_no_more.used_by, has_it_no_more.is_used) == ([], False)


def test_a_machine_with_a_volume_that_is_not_known_has_them_read(synced: Provider, run_jobs: RunJobs) -> None:
    volume_jobs.read_those_that_are_due()
    run_jobs()
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    volume_jobs.read_those_that_are_due()
    assert Job.objects.filter(kind="volumes.read").count() == 1
    disk = DiskRecord(external_id="vda", volume="v-new")
    vms.apply(synced, [VmRecord(external_id="vm-1", name="web", power=PowerState.STOPPED, disks=(disk,))])
    volume_jobs.read_those_that_are_due()
    assert Job.objects.filter(kind="volumes.read").count() == 2


def test_the_disks_of_a_machine_that_was_deleted_do_not_stay_attached(
    synced: Provider, alice: User, project: Project, run_jobs: RunJobs
) -> None:
    with driver_for(synced) as driver:
        made = driver.machines.create(VmSpec(name="web", disks=(DiskSpec(size_gib=1),), start=False))
        sync(synced, driver)
        assert driver.volumes is not None
        volume_inventory.apply(synced, driver.volumes.list(), is_complete=True)
    vm = VirtualMachine.objects.get(external_id=made.external_id)
    vm_services.delete(vm, user=alice)
    run_jobs()
    assert not Volume.objects.get().is_used
    volume_services.read_if_old(synced)
    run_jobs()
    assert not Volume.objects.exists()


def send(client: Client, volume: Volume, offset: int, content: bytes, key: str = "file|12|1") -> Any:
    digest = hashlib.sha256(content).hexdigest()
    address = f"/transfer/volumes/{volume.uuid}/upload/{offset}"
    headers = {"X-File-Key": key, "X-Chunk-SHA256": digest}
    return client.post(address, content, content_type="application/octet-stream", headers=headers)


def test_a_file_is_sent_into_a_volume_in_pieces_and_goes_on_where_it_stopped(
    make_volume: Callable[..., Volume], synced: Provider, alice: User, client_of: SignIn
) -> None:
    volume, client = make_volume(), client_of(alice)
    assert send(client, volume, 0, b"first-").json()["received"] == 6
    volume.refresh_from_db()
    assert "not whole" in volume.problem
    # The page was loaded again: it asks how far the file is.
    assert client.get(f"/transfer/volumes/{volume.uuid}/upload").json() == {"key": "file|12|1", "received": 6}
    assert client.post(f"/transfer/volumes/{volume.uuid}/finish", {"size": "12"}).status_code == 409
    assert send(client, volume, 0 + 6, b"second").status_code == 200
    assert client.post(f"/transfer/volumes/{volume.uuid}/finish", {"size": "12"}).status_code == 200
    volume.refresh_from_db()
    assert (volume.problem, volume.upload_key) == ("", "")
    got = bytearray()
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        driver.volumes.download(volume.external_id, got.extend, length=12)
    assert bytes(got) == b"first-second"
    assert AuditEntry.objects.filter(verb="volume.upload", actor=alice).count() == 1


def test_pieces_that_do_not_fit_are_refused(
    make_volume: Callable[..., Volume], alice: User, bob: User, client_of: SignIn
) -> None:
    volume, client = make_volume(), client_of(alice)
    send(client, volume, 0, b"first-")
    assert send(client, volume, 100, b"second").status_code == 409
    assert send(client, volume, 6, b"second", key="another file").status_code == 409
    address = f"/transfer/volumes/{volume.uuid}/upload/6"
    headers = {"X-File-Key": "file|12|1", "X-Chunk-SHA256": "00"}
    answer = client.post(address, b"second", content_type="application/octet-stream", headers=headers)
    assert answer.status_code == 422
    assert send(client_of(bob), volume, 0, b"x").status_code == 403
    Volume.objects.update(is_used=True)
    assert send(client, volume, 6, b"second").status_code == 409
