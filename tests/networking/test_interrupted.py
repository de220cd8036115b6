"""Networks whose worker died: what was made is taken over, what was half made is gone, and trying again works."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from kvweb.accounts.models import User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from networking import services
from networking.models import Network
from providers.base import NetworkRecord, NetworkSpec
from providers.models import Provider
from providers.pool import driver_for

pytestmark = pytest.mark.django_db(transaction=True)

RunJobs = Callable[[], list[Job]]
SPEC = NetworkSpec(name="lan", cidr="10.20.30.0/24")


def at_provider(provider: Provider) -> list[NetworkRecord]:
    with driver_for(provider) as driver:
        assert driver.networks is not None
        return [record for record in driver.networks.list() if record.name == "lan"]


def made_beside(provider: Provider, network: Network, *, active: bool) -> None:
    """What the worker did before it died."""
    with driver_for(provider) as driver:
        assert driver.networks is not None
        record = driver.networks.create(SPEC.model_copy(update={"portal_uuid": str(network.uuid)}))
        driver.networks.set_active(record.external_id, active)


def died(job: Job) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, started_at=long_ago, heartbeat_at=long_ago, attempt=1)
    assert jobs.reap() == 1


@pytest.mark.parametrize("stage", ["nothing", "half", "whole"])
def test_a_creation_whose_worker_died_leaves_all_or_nothing(
    fake_provider: Provider, root: User, run_jobs: RunJobs, stage: str
) -> None:
    network, job = services.create(provider=fake_provider, spec=SPEC, user=root)
    if stage != "nothing":
        made_beside(fake_provider, network, active=stage == "whole")
    died(job)
    run_jobs()
    network.refresh_from_db()
    records = at_provider(fake_provider)
    assert len(records) == (stage == "whole")
    assert bool(network.external_id) == (stage == "whole")
    assert bool(network.problem) == (stage != "whole")
    assert Network.objects.filter(name="lan").count() == 1


def test_trying_again_before_anything_is_cleared_up_makes_it_once(
    fake_provider: Provider, root: User, run_jobs: RunJobs
) -> None:
    network, job = services.create(provider=fake_provider, spec=SPEC, user=root)
    made_beside(fake_provider, network, active=True)
    died(job)
    Job.objects.filter(kind="network.settle").delete()
    services.create(provider=fake_provider, spec=SPEC, user=root, retry_of=network)
    run_jobs()
    network.refresh_from_db()
    assert [record.external_id for record in at_provider(fake_provider)] == [network.external_id]
    assert network.problem == ""


def test_a_network_of_somebody_else_is_not_taken_for_what_a_dead_attempt_left(
    fake_provider: Provider, root: User, run_jobs: RunJobs
) -> None:
    with driver_for(fake_provider) as driver:
        assert driver.networks is not None
        theirs = driver.networks.create(SPEC)
    network, _ = services.create(provider=fake_provider, spec=SPEC, user=root)
    run_jobs()
    network.refresh_from_db()
    assert network.external_id == ""
    assert "already" in network.problem
    assert at_provider(fake_provider) == [theirs]


def test_a_deletion_whose_worker_died_says_what_is(fake_provider: Provider, root: User, run_jobs: RunJobs) -> None:
    network, _ = services.create(provider=fake_provider, spec=SPEC, user=root)
    run_jobs()
    network.refresh_from_db()
    job = services.delete(network, user=root)
    with driver_for(fake_provider) as driver:
        assert driver.networks is not None
        driver.networks.delete(network.external_id)
    died(job)
    run_jobs()
    network.refresh_from_db()
    assert network.missing_since is not None


def test_a_network_that_was_off_for_a_moment_when_its_worker_died_is_on_again(
    fake_provider: Provider, root: User, run_jobs: RunJobs
) -> None:
    network, _ = services.create(provider=fake_provider, spec=SPEC, user=root)
    run_jobs()
    network.refresh_from_db()
    job = services.restart(network, user=root)
    with driver_for(fake_provider) as driver:
        assert driver.networks is not None
        driver.networks.set_active(network.external_id, False)
    died(job)
    run_jobs()
    network.refresh_from_db()
    assert [record.is_active for record in at_provider(fake_provider)] == [True]
    assert network.is_active
    assert "Restart the network failed" in network.problem
