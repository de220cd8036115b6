"""Pools: what administrators make of them, and what everybody sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import Job
from kvweb.portal.inventory import sync
from providers.models import Provider
from providers.pool import driver_for
from storage.models import Pool, Volume
from tests.conftest import MakeVm

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
RunJobs = Callable[[], list[Job]]


@pytest.fixture
def synced(fake_provider: Provider) -> Provider:
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    return fake_provider


@pytest.fixture
def admin(root: User, client_of: SignIn) -> Client:
    return client_of(root)


def form(provider: Provider, **values: str) -> dict[str, str]:
    return {"provider": str(provider.uuid), "name": "swift", "type": "dir", "dir-path": "/srv/swift", **values}


def shown(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_a_pool_is_made_listed_and_deleted(admin: Client, synced: Provider, run_jobs: RunJobs) -> None:
    assert "Create pool" in shown(admin, "/pools/")
    answer = admin.post("/pools/create", form(synced) | {"autostart": "on"})
    pool = Pool.objects.get(name="swift")
    assert answer.url == f"/pools/{pool.uuid}/"  # type: ignore[attr-defined]
    assert "Creating" in shown(admin, f"/pools/{pool.uuid}/")
    run_jobs()
    pool.refresh_from_db()
    assert (pool.external_id != "", pool.path, pool.is_active) == (True, "/srv/swift", True)
    assert "Active" in shown(admin, f"/pools/rows?ids={pool.uuid}")
    admin.post(f"/pools/{pool.uuid}/do/delete", {"typed": "swift"})
    run_jobs()
    assert not Pool.objects.filter(name="swift").exists()
    assert AuditEntry.objects.filter(verb="pool.delete", actor__username="root").exists()


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(admin: Client, synced: Provider) -> None:
    answer = admin.post("/pools/create", form(synced, **{"name": "a b", "dir-path": "not/absolute"}))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "begin with a letter or digit" in page
    assert "Give an absolute path" in page
    assert 'value="not/absolute"' in page
    assert not Job.objects.exists()


@pytest.mark.parametrize("type_", ["fs", "netfs", "logical", "iscsi", "rbd"])
def test_each_type_asks_for_what_it_needs(type_: str, admin: Client, synced: Provider) -> None:
    if type_ not in synced.can.pools.types:  # type: ignore[union-attr]
        pytest.skip("The simulated cloud has no pools of this type.")
    page = admin.post("/pools/create", form(synced, type=type_)).content.decode()
    assert "is needed." in page or "Give an absolute path" in page
    assert not Pool.objects.filter(name="swift").exists()


def test_a_secret_is_neither_shown_again_nor_kept_readable(admin: Client, synced: Provider) -> None:
    if "rbd" not in synced.can.pools.types:  # type: ignore[union-attr]
        pytest.skip("The simulated cloud has no pools with a secret.")
    source = {"rbd-host": "mon1", "rbd-name": "vms", "rbd-user": "kvweb", "rbd-secret": "c2VjcmV0LXdvcmQ="}
    page = admin.post("/pools/create", form(synced, type="rbd", name="a b", **source)).content.decode()
    assert "c2VjcmV0LXdvcmQ=" not in page
    admin.post("/pools/create", form(synced, type="rbd", **source))
    job = Job.objects.get(kind="pool.create")
    assert "c2VjcmV0LXdvcmQ=" not in str(job.params) + str(job.form)


def test_a_failed_creation_says_why_and_can_be_tried_again(admin: Client, synced: Provider, run_jobs: RunJobs) -> None:
    path = Pool.objects.get(name="default").path
    admin.post("/pools/create", form(synced, **{"dir-path": path}))
    run_jobs()
    pool = Pool.objects.get(name="swift")
    page = shown(admin, f"/pools/{pool.uuid}/")
    assert "failed:" in page
    assert "Try again" in page
    again = shown(admin, f"/pools/create?again={pool.problem_job}")
    assert 'value="swift"' in again
    assert f'value="{path}"' in again
    admin.post(f"/pools/create?again={pool.problem_job}", form(synced))
    run_jobs()
    assert Pool.objects.filter(name="swift").exclude(external_id="").count() == 1
    assert not Pool.objects.filter(external_id="").exists()


def test_a_pool_is_stopped_and_started(admin: Client, synced: Provider, run_jobs: RunJobs) -> None:
    pool = Pool.objects.get(name="default")
    admin.post(f"/pools/{pool.uuid}/do/stop", {"confirmed": "1"})
    run_jobs()
    assert not Pool.objects.get(name="default").is_active
    assert "Stopped" in shown(admin, "/pools/")
    admin.post(f"/pools/{pool.uuid}/do/start")
    run_jobs()
    assert Pool.objects.get(name="default").is_active


def test_looking_again_reads_the_volumes_too(admin: Client, synced: Provider, run_jobs: RunJobs) -> None:
    pool = Pool.objects.get(name="default")
    with driver_for(synced) as driver:
        assert driver.volumes is not None
        from providers.base import VolumeSpec

        driver.volumes.create(VolumeSpec(name="spare", size_gib=1))
    admin.post(f"/pools/{pool.uuid}/do/refresh")
    run_jobs()
    assert Volume.objects.get().name == "spare"
    assert Volume.objects.get().project is None


def test_the_question_names_who_uses_the_pool(
    admin: Client, synced: Provider, make_vm: MakeVm, alice: User, client_of: SignIn
) -> None:
    pool = Pool.objects.get(name="default")
    make_vm(name="ledger", disks=[{"external_id": "vda", "pool": pool.external_id, "volume": "v"}])
    assert "ledger" in shown(admin, f"/pools/{pool.uuid}/ask/delete")
    assert "ledger" in shown(client_of(alice), f"/pools/{pool.uuid}/")


def test_a_stranger_is_told_the_number_of_machines_and_no_name(
    synced: Provider, make_vm: MakeVm, charlie: User, client_of: SignIn
) -> None:
    pool = Pool.objects.get(name="default")
    make_vm(name="ledger", disks=[{"external_id": "vda", "pool": pool.external_id, "volume": "v"}])
    page = shown(client_of(charlie), f"/pools/{pool.uuid}/")
    assert "ledger" not in page
    assert "1 machine of other projects" in page


@pytest.mark.parametrize("action", ["start", "stop", "refresh", "delete", "dismiss"])
def test_members_change_no_pool(action: str, synced: Provider, alice: User, client_of: SignIn) -> None:
    pool = Pool.objects.get(name="default")
    typed: dict[str, Any] = {"typed": pool.name, "confirmed": "1"}
    client_of(alice).post(f"/pools/{pool.uuid}/do/{action}", typed)
    assert not Job.objects.exists()
    assert Pool.objects.filter(pk=pool.pk).exists()


def test_members_see_pools_and_no_way_to_make_one(synced: Provider, alice: User, client_of: SignIn) -> None:
    page = shown(client_of(alice), "/pools/")
    assert Pool.objects.get(name="default").name in page
    assert "Create pool" not in page
    assert client_of(alice).get("/pools/create").status_code == 404


def test_the_note_of_a_failure_goes_with_the_next_success_or_by_hand(admin: Client, synced: Provider) -> None:
    pool = Pool.objects.get(name="default")
    Pool.objects.filter(pk=pool.pk).update(problem="Start the pool failed: It does not answer.")
    page = shown(admin, f"/pools/{pool.uuid}/")
    assert "Start the pool failed" in page
    assert "Dismiss" in page
    admin.post(f"/pools/{pool.uuid}/do/dismiss-problem")
    assert Pool.objects.get(pk=pool.pk).problem == ""
    assert AuditEntry.objects.filter(verb="pool.dismiss_problem").exists()
