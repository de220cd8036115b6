"""/metrics: the portal's figures for Prometheus, to those who may have them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from kvweb.accounts.models import User
from kvweb.jobs.models import Job, JobState
from kvweb.metrics.series import HOST, Measure
from kvweb.metrics.store import Writer, folder_of, reader
from providers.models import Provider
from tests.conftest import MakeVm

SignIn = Callable[[User], Client]
Samples = dict[str, float]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.KVWEB_HOME = tmp_path
    reader.cache_clear()
    yield
    reader.cache_clear()


def read(client: Client | None = None) -> Samples:
    """Every sample by its name and labels, as a Prometheus server would read it."""
    answer = (client or Client()).get("/metrics")
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def measured(provider: Provider, *names: str) -> None:
    values = np.full((len(names), len(Measure)), np.nan, np.float32)
    values[:, Measure.CPU_PERCENT], values[:, Measure.MEMORY_MIB] = 25, 512
    writer, now = Writer(folder_of(provider.uuid)), time.time()
    writer.write(names, values, at=now, since=now - 10)
    writer.close()


def test_providers_jobs_and_machines_are_counted(fake_provider: Provider, make_vm: MakeVm) -> None:
    make_vm(power="running")
    make_vm(power="running")
    make_vm(power="stopped")
    Provider.objects.update(sync_ms=1500, latency_ms=2.5)
    now = timezone.now()
    Job.objects.create(kind="vm.start", title="Start", state=JobState.QUEUED)
    ended = {"state": JobState.FAILED, "started_at": now - timedelta(seconds=9), "ended_at": now}
    Job.objects.create(kind="vm.stop", title="Stop", **ended)
    found = read()
    who = f"kind=fake,provider={fake_provider.name}"
    assert found[f"kvweb_provider_up{{{who}}}"] == 1
    assert found[f"kvweb_provider_sync_seconds{{{who}}}"] == 1.5
    assert found[f"kvweb_provider_latency_seconds{{{who}}}"] == 0.0025
    assert found[f"kvweb_provider_machines{{kind=fake,power=running,provider={fake_provider.name}}}"] == 2
    assert found["kvweb_jobs_active{kind=vm.start,state=queued}"] == 1
    assert found["kvweb_jobs_ended_last_hour{kind=vm.stop,state=failed}"] == 1
    assert found["kvweb_job_mean_seconds_last_hour{kind=vm.stop,state=failed}"] == pytest.approx(9, abs=0.1)


def test_a_lost_redis_is_a_figure_and_no_failure(settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    assert read()["kvweb_redis_up{}"] == 0


def test_machines_are_told_one_by_one_only_when_that_is_wanted(
    fake_provider: Provider, make_vm: MakeVm, settings: Settings
) -> None:
    vm = make_vm(name='odd "name" \\ here', power="running")
    measured(fake_provider, HOST, vm.external_id)
    found = read()
    assert found[f"kvweb_host_cpu_ratio{{provider={fake_provider.name}}}"] == 0.25
    assert not any(name.startswith("kvweb_vm_") for name in found)
    settings.KVWEB_METRICS_PER_VM = True
    [name] = [name for name in read() if name.startswith("kvweb_vm_memory_used_bytes")]
    assert 'odd "name" \\ here' in name
    assert read()[name] == 512 * 2**20


def test_requests_are_counted_by_route_and_not_by_address(make_vm: MakeVm, alice: User, client_of: SignIn) -> None:
    def counted() -> float:
        return read().get("kvweb_requests_total{method=GET,route=vms:detail,status=200}", 0)

    vm, before = make_vm(), counted()
    for _ in range(3):
        client_of(alice).get(f"/vms/{vm.uuid}/")
    after = read()
    assert counted() == before + 3
    assert not any(str(vm.uuid) in name for name in after)
    assert any(name.startswith("kvweb_request_seconds_bucket") for name in after)


@pytest.mark.parametrize(
    ("address", "token", "shown", "status"),
    [
        ("127.0.0.1", "", "", 200),
        ("::1", "", "", 200),
        ("192.0.2.7", "", "", 401),
        ("", "", "", 401),
        ("127.0.0.1", "long-secret", "", 401),
        ("127.0.0.1", "long-secret", "Bearer wrong", 401),
        ("192.0.2.7", "long-secret", "Bearer long-secret", 200),
        ("192.0.2.7", "", "Bearer ", 401),
    ],
)
def test_it_is_for_this_machine_or_for_whoever_has_the_token(
    settings: Settings, address: str, token: str, shown: str, status: int
) -> None:
    settings.KVWEB_METRICS_TOKEN = token
    headers = {"Authorization": shown} if shown else {}
    assert Client().get("/metrics", headers=headers, REMOTE_ADDR=address).status_code == status


def test_a_client_cannot_say_that_it_is_this_machine() -> None:
    """nginx puts the true address last, behind whatever was claimed."""
    answer = Client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1, 192.0.2.7"})
    assert answer.status_code == 401


def test_an_administrator_may_look_from_anywhere_and_a_member_not(
    root: User, alice: User, client_of: SignIn, settings: Settings
) -> None:
    settings.KVWEB_METRICS_TOKEN = "long-secret"
    assert client_of(root).get("/metrics").status_code == 200
    assert client_of(alice).get("/metrics").status_code == 401


def test_no_secret_and_no_address_of_a_provider_is_told(fake_provider: Provider, settings: Settings) -> None:
    settings.KVWEB_METRICS_TOKEN = "long-secret"
    Provider.objects.update(sealed="sealed-words")
    text = Client().get("/metrics", headers={"Authorization": "Bearer long-secret"}).content.decode()
    assert f'provider="{fake_provider.name}"' in text
    for hidden in ("long-secret", "sealed-words", str(fake_provider.config["path"])):
        assert hidden not in text
