"""Measuring real hypervisors: a VM's use is kept, and one host that falls silent leaves the other's graphs alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import numpy as np
import pytest
from lxml import etree
from lxml.builder import E
from pytest_django import Settings

from kvweb.metrics.series import HOST, HOUR, Measure
from kvweb.metrics.store import Reader, folder_of
from kvweb.portal import measure
from kvweb.portal.measure import Meters, Taking
from providers.models import Health, Provider
from providers.registry import plugin
from tools.trial.libvirtd import PrivateLibvirt
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

NAME = "kvweb-test-measured"


@pytest.fixture
def hypervisor() -> Iterator[PrivateLibvirt]:
    """One of the test's own, with a VM that turns in its firmware."""
    daemon = PrivateLibvirt()
    try:
        daemon.start()
        connection = libvirt.open(daemon.uri)
        document = E.domain(
            E.name(NAME), E.memory("32768"), E.vcpu("1"), E.os(E.type("hvm")), E.devices(E.interface(type="user")),
            type="qemu",
        )  # fmt: skip
        connection.createXML(etree.tostring(document).decode())
        connection.close()
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def silent_soon(hypervisor: PrivateLibvirt) -> Provider:
    kvm = plugin("kvm")
    config = kvm.config.read({"uri": hypervisor.uri})
    return Provider.objects.create(
        kind="kvm",
        name="Silent soon",
        config=config.model_dump(mode="json", exclude=set(type(config).secret_fields())),
        capabilities=kvm.declares.to_json(),
        health=Health.OK,
    )


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> dict[str, int]:
    """How many readings came back, by the folder they are kept in; one a second instead of one in ten."""
    settings.KVWEB_HOME = tmp_path
    monkeypatch.setattr(measure, "looked_at", set)
    monkeypatch.setattr(Taking, "is_due", lambda self, now, *, is_looked_at: True)
    counts: dict[str, int] = {}
    honest = Taking.take

    def take(self: Taking) -> None:
        honest(self)
        counts[self.writer.folder.name] = counts.get(self.writer.folder.name, 0) + 1

    monkeypatch.setattr(Taking, "take", take)
    return counts


@pytest.fixture
def meters() -> Iterator[Meters]:
    made, stop = Meters(), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop, 0.1))
    thread.start()
    yield made
    stop.set()
    thread.join(timeout=20)


def measuring() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("measure-")]


def test_a_host_that_falls_silent_makes_a_gap_of_its_own_only(
    hypervisor: PrivateLibvirt,
    silent_soon: Provider,
    fake_provider: Provider,
    taken: dict[str, int],
    meters: Meters,
) -> None:
    del meters
    here, there = str(silent_soon.uuid), str(fake_provider.uuid)
    until(lambda: taken.get(here, 0) >= 3 and taken.get(there, 0) >= 3, timeout_s=60, said="Measuring both")
    kept = Reader(folder_of(silent_soon.uuid))
    names: Any = kept._renewed()
    [vm] = [name for name in names if name != HOST]
    for name in (vm, HOST):
        series = kept.series(name, HOUR, now=time.time())
        assert series is not None
        cpu = series.values[:, Measure.CPU_PERCENT]
        assert 0 < np.nanmax(cpu) <= 100, "the processor turns"

    hypervisor.freeze()
    try:
        time.sleep(2)  # a reading that was on its way is back
        here_before, there_before = taken[here], taken[there]
        until(lambda: taken[there] >= there_before + 4, timeout_s=30, said="Measuring the other")
        assert taken[here] == here_before
        assert len([name for name in measuring() if name.endswith("Silent soon")]) == 1, "nothing piles up"
    finally:
        hypervisor.thaw()
    until(lambda: taken[here] > here_before, timeout_s=90, said="Measuring again")
