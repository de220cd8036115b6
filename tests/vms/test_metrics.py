"""The tab of metrics and the sparklines of the list: what was measured, to those who may see the machine."""

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
from kvweb.metrics import looking
from kvweb.metrics.series import Measure
from kvweb.metrics.store import Writer, folder_of, reader
from providers.base import MetricsFeatures, PowerState
from providers.models import Provider
from tests.conftest import MakeVm
from vms import meters, metrics_tab, metrics_views
from vms.models import VirtualMachine

SignIn = Callable[[User], Client]


@pytest.fixture(autouse=True)
def home(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    settings.KVWEB_HOME = tmp_path
    reader.cache_clear()
    yield tmp_path
    reader.cache_clear()


@pytest.fixture(autouse=True)
def looked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Who was said to be looked at; Redis is the network card here."""
    seen: list[object] = []
    monkeypatch.setattr(metrics_tab, "look", seen.extend)
    monkeypatch.setattr(metrics_views, "look", seen.extend)
    return seen


def measured(vm: VirtualMachine, **values: float) -> None:
    """The last ten minutes of a machine that always used as much."""
    row = np.full((1, len(Measure)), np.nan, np.float32)
    for name, value in values.items():
        row[0, Measure[name.upper()]] = value
    writer = Writer(folder_of(vm.provider.uuid))
    now = time.time()
    for ago in range(600, -1, -10):
        writer.write([vm.external_id], row, at=now - ago, since=now - ago - 10)
    writer.close()


def test_the_tab_shows_what_was_measured_in_words_too(make_vm: MakeVm, alice: User, client_of: SignIn) -> None:
    vm = make_vm(power=PowerState.RUNNING)
    measured(vm, cpu_percent=37.4, disk_read=3_600_000, net_tx=12)
    page = client_of(alice).get(f"/vms/{vm.uuid}/metrics").content.decode()
    assert "<td data-now>37 %</td>" in page
    assert "3.4 MiB/s" in page
    assert "12 B/s" in page
    assert f'data-charts="/vms/{vm.uuid}/metrics/data"' in page


def test_the_graphs_get_every_value(make_vm: MakeVm, alice: User, client_of: SignIn) -> None:
    vm = make_vm(power=PowerState.RUNNING)
    measured(vm, cpu_percent=37.44)
    data = client_of(alice).get(f"/vms/{vm.uuid}/metrics/data").json()
    [line] = data["charts"]["cpu"]
    assert (data["nothing"], data["step_s"], len(line["values"])) == ("", 10, 360)
    assert line["values"][-2] == 37.4
    assert line["values"][0] is None
    assert [each["label"] for each in data["charts"]["network"]] == ["Received", "Sent"]


@pytest.mark.parametrize(("asked", "step_s"), [("hour", 10), ("day", 300), ("month", 7200), ("aeon", 10), ("", 10)])
def test_a_range_that_means_nothing_is_the_hour(
    make_vm: MakeVm, alice: User, client_of: SignIn, asked: str, step_s: int
) -> None:
    vm = make_vm(power=PowerState.RUNNING)
    assert client_of(alice).get(f"/vms/{vm.uuid}/metrics/data", {"range": asked}).json()["step_s"] == step_s


def test_each_reason_for_an_empty_page_is_said(
    make_vm: MakeVm, alice: User, client_of: SignIn, fake_provider: Provider
) -> None:
    on, off = make_vm(power=PowerState.RUNNING), make_vm(power=PowerState.STOPPED)
    client = client_of(alice)
    assert "Collecting" in client.get(f"/vms/{on.uuid}/metrics").content.decode()
    assert "It is off" in client.get(f"/vms/{off.uuid}/metrics").content.decode()
    Provider.objects.update(health="failed")
    assert "does not answer or is disabled" in client.get(f"/vms/{on.uuid}/metrics").content.decode()
    fake_provider.capabilities = {**fake_provider.capabilities, "metrics": None}
    fake_provider.save()
    page = client.get(f"/vms/{on.uuid}/metrics").content.decode()
    assert "does not tell what its machines use" in page
    assert client.get(f"/vms/{on.uuid}/metrics/data").json() == {"nothing": "unsupported", "charts": {}}
    assert f'href="/vms/{on.uuid}/metrics"' not in client.get(f"/vms/{on.uuid}/").content.decode()


def test_memory_has_a_graph_only_where_it_is_told(make_vm: MakeVm, fake_provider: Provider) -> None:
    assert "memory" in {chart.name for chart in meters.charts_of(make_vm())}
    can = fake_provider.can.model_copy(update={"metrics": MetricsFeatures(vms=True)})
    fake_provider.capabilities = can.to_json()
    fake_provider.save()
    vm = VirtualMachine.objects.latest("pk")
    assert "memory" not in {chart.name for chart in meters.charts_of(vm)}


def test_looking_at_graphs_is_told_and_at_a_list_only_without_history(
    make_vm: MakeVm, alice: User, client_of: SignIn, looked: list[object], settings: Settings
) -> None:
    vm, client = make_vm(), client_of(alice)
    client.get("/vms/sparklines", {"ids": str(vm.uuid)})
    assert looked == []
    settings.KVWEB_METRICS_HISTORY = False
    client.get("/vms/sparklines", {"ids": str(vm.uuid)})
    assert looked == [vm.provider.uuid]
    client.get(f"/vms/{vm.uuid}/metrics/data")
    assert looked == [vm.provider.uuid] * 2


def test_sparklines_come_for_what_one_sees_in_one_question(
    make_vm: MakeVm,
    alice: User,
    charlie: User,
    client_of: SignIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    vms = [make_vm() for _ in range(5)]
    measured(vms[0], cpu_percent=12)
    ids = ",".join(str(vm.uuid) for vm in vms)
    client = client_of(alice)
    with django_assert_max_num_queries(4):
        told: dict[str, Any] = client.get("/vms/sparklines", {"ids": f"{ids},nonsense"}).json()
    assert set(told) == {str(vms[0].uuid)}, "those of which nothing is known have no line"
    assert len(told[str(vms[0].uuid)]) == 30
    assert set(told[str(vms[0].uuid)]) <= {12, None}
    assert client_of(charlie).get("/vms/sparklines", {"ids": ids}).json() == {}


def test_graphs_of_strangers_do_not_exist(make_vm: MakeVm, charlie: User, client_of: SignIn) -> None:
    vm = make_vm()
    measured(vm, cpu_percent=50)
    assert client_of(charlie).get(f"/vms/{vm.uuid}/metrics/data").status_code == 404


def test_a_page_works_when_nobody_can_be_told_of_looking(settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    looking.look(["a"])
    assert looking.looked_at(["a"]) == set()
