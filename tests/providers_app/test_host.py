"""The page of a host: what it has, what was promised of it, what it does now; asked of nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from kvweb.accounts.models import User
from kvweb.metrics.series import HOST, Measure
from kvweb.metrics.store import Writer, folder_of, reader
from kvweb.portal.inventory import sync
from providers import host_views, hosts, pool
from providers.models import Provider
from providers.pool import connect
from tests.conftest import MakeVm

SignIn = Callable[[User], Client]


@pytest.fixture(autouse=True)
def home(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.KVWEB_HOME = tmp_path
    reader.cache_clear()
    yield
    reader.cache_clear()


@pytest.fixture(autouse=True)
def looked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []
    monkeypatch.setattr(host_views, "look", seen.extend)
    return seen


@pytest.fixture
def provider(fake_provider: Provider) -> Provider:
    """A host with 8 CPUs and 16 GiB that tells much of itself."""
    fake_provider.host = {
        "name": "node-7",
        "cpus_total": 8,
        "memory_total_mib": 16384,
        "details": {
            "cpu_model": "Fastest & Newest",
            "sockets": 1,
            "cores_per_socket": 4,
            "threads_per_core": 2,
            "libvirt": "9.0.0",
            "machines": ["q35", "pc"],
            "uefi": True,
            "devices": [{"sort": "net", "name": "eth0", "words": "up", "driver": "virtio"}],
        },
    }
    fake_provider.save()
    return fake_provider


@pytest.fixture
def page(root: User, client_of: SignIn, provider: Provider) -> Callable[[], str]:
    client = client_of(root)

    def get() -> str:
        answer = client.get(f"/providers/{provider.uuid}/host")
        assert answer.status_code == 200
        return answer.content.decode()

    return get


def measured(provider: Provider, **named: dict[Measure, float]) -> None:
    """The newest reading, by the machine's external id; the host's own is called `host`."""
    values = np.full((len(named), len(Measure)), np.nan, np.float32)
    for number, told in enumerate(named.values()):
        for measure, value in told.items():
            values[number, measure] = value
    writer = Writer(folder_of(provider.uuid))
    now = time.time()
    names = [HOST if name == "host" else name for name in named]
    writer.write(names, values, at=now, since=now - 10)
    writer.close()


def test_it_tells_what_the_host_is_and_escapes_it(page: Callable[[], str]) -> None:
    told = page()
    for words in ("node-7", "Fastest &amp; Newest", "1 × 4 cores, 2 threads each", "9.0.0", "q35, pc", "eth0"):
        assert words in told


def test_what_was_promised_is_compared_with_what_is_there(make_vm: MakeVm, provider: Provider) -> None:
    make_vm(power="running", vcpus=10, memory_mib=8192)
    make_vm(power="stopped", vcpus=4, memory_mib=16384)
    make_vm(power="running", vcpus=2, memory_mib=4096)
    cpus, memory = hosts.capacity(provider)
    assert (cpus.running, cpus.defined, cpus.ratio, cpus.is_over) == ("12", "16", "1.5 : 1", True)
    assert (memory.percent, memory.defined_percent, memory.ratio, memory.is_over) == (75, 175, "0.75 : 1", False)
    assert hosts.density(provider) == {"running": 2, "total": 3}


def test_a_host_that_tells_no_totals_has_no_ratio(fake_provider: Provider, page: Callable[[], str]) -> None:
    fake_provider.host = {"name": "somewhere"}
    fake_provider.save()
    assert hosts.capacity(fake_provider) == []
    assert "It does not tell how much it has." in page()


def test_the_busiest_are_those_that_take_most_of_the_host(
    make_vm: MakeVm, provider: Provider, page: Callable[[], str]
) -> None:
    small = make_vm(name="small", power="running", vcpus=1)
    large = make_vm(name="large", power="running", vcpus=8)
    make_vm(name="idle", power="running")
    measured(
        provider,
        **{
            small.external_id: {Measure.CPU_PERCENT: 90.0, Measure.MEMORY_MIB: 1000.0},
            large.external_id: {Measure.CPU_PERCENT: 50.0, Measure.MEMORY_MIB: 200.0},
        },
    )
    top = hosts.top_consumers(provider)
    assert [(each.name, each.percent) for each in top["CPU"]] == [("large", 50), ("small", 11)]
    assert [each.name for each in top["Memory"]] == ["small", "large"]
    assert f"/vms/{large.uuid}/metrics" in page()


def test_the_graphs_of_the_host_get_their_values(root: User, client_of: SignIn, provider: Provider) -> None:
    measured(provider, host={Measure.CPU_PERCENT: 42, Measure.MEMORY_MIB: 6000, Measure.LOAD: 1.5})
    data: dict[str, Any] = client_of(root).get(f"/providers/{provider.uuid}/host/data").json()
    assert data["nothing"] == ""
    told = {name: lines[0]["now"] for name, lines in data["charts"].items()}
    assert (told["cpu"], told["memory"], told["load"]) == ("42 %", "5.9 GiB", "1.5")


def test_looking_at_a_host_is_told(page: Callable[[], str], provider: Provider, looked: list[object]) -> None:
    page()
    assert looked == [provider.uuid]


def test_a_host_that_is_not_measured_has_no_graphs(
    page: Callable[[], str], provider: Provider, root: User, client_of: SignIn
) -> None:
    provider.capabilities = {**provider.capabilities, "metrics": None}
    provider.save()
    assert "data-charts" not in page()
    assert client_of(root).get(f"/providers/{provider.uuid}/host/data").json()["nothing"] == "unsupported"


def test_members_do_not_see_it(alice: User, client_of: SignIn, provider: Provider) -> None:
    for part in ("host", "host/facts", "host/data"):
        assert client_of(alice).get(f"/providers/{provider.uuid}/{part}").status_code == 404


def test_the_page_costs_few_questions_however_many_machines(
    make_vm: MakeVm, page: Callable[[], str], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(20):
        make_vm(power="running")
    with django_assert_max_num_queries(16):
        page()


def test_a_full_sync_brings_facts_abilities_and_how_the_connection_is(fake_provider: Provider) -> None:
    fake_provider.capabilities = {}
    fake_provider.save()
    with connect(fake_provider) as driver:
        sync(fake_provider, driver)
    fresh = Provider.objects.get()
    assert fresh.can.metrics is not None, "what a newer portal can ask for is found without a check by hand"
    assert fresh.host["cpus_total"] == 64
    assert fresh.host_at is not None
    assert fresh.latency_ms is not None
    assert fresh.sync_ms is not None
    assert fresh.latency_ms < 1000


def test_since_when_it_answers_is_remembered_and_forgotten(fake_provider: Provider) -> None:
    from providers.base import Unreachable

    pool.note_failure(fake_provider, Unreachable())
    assert Provider.objects.get().reachable_since is None
    pool.note_success(fake_provider)
    began = Provider.objects.get().reachable_since
    assert began is not None
    pool.note_success(fake_provider)
    assert Provider.objects.get().reachable_since == began
