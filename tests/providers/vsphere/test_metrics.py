"""Metrics: samples are counted once each, in a bounded number of calls, and what goes away spoils nothing."""

from __future__ import annotations

import pytest

from providers.base import Transient
from providers.vsphere import metrics
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.native import vim
from tests.providers.vsphere.conftest import MakeVm
from tools.peers.vsphere.door import Door


def test_every_sample_is_counted_once(driver: VsphereDriver, make_vm: MakeVm, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = make_vm(start=True)
    (first,) = (each for each in driver.metrics.sample() if each.external_id == vm.external_id)
    assert (first.vcpus, first.memory_mib) == (vm.vcpus, vm.memory_mib)
    assert first.cpu_time_ns is not None
    assert first.net_rx_bytes is not None
    monkeypatch.setattr(metrics, "_REST_S", 0.0)
    # As if nothing had been asked for a minute: three samples more, and none of them again.
    known = driver.metrics._vms.sums[vm.external_id]
    before, latest = known.samples, known.at
    known.at = latest.replace(year=latest.year - 1)
    driver.metrics.sample()
    assert known.samples == before + metrics._MOST_SAMPLES
    counted = known.samples
    driver.metrics.sample()
    assert known.samples in (counted, counted + 1)


def test_a_vm_that_went_meanwhile_spoils_no_reading(
    driver: VsphereDriver, make_vm: MakeVm, monkeypatch: pytest.MonkeyPatch
) -> None:
    vms = [make_vm(start=True) for _ in range(3)]
    gone = driver.connection.object(vim.VirtualMachine, "vm-99999")._moId
    driver.metrics.sample()
    monkeypatch.setattr(metrics, "_REST_S", 0.0)
    driver.metrics._count(driver.metrics._vms, [vms[0].external_id, gone, vms[1].external_id])
    assert set(driver.metrics._vms.sums) == {vms[0].external_id, vms[1].external_id}


def test_many_vms_are_asked_for_in_parts(
    driver: VsphereDriver, make_vm: MakeVm, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_vm(start=True)
    monkeypatch.setattr(metrics, "_AT_ONCE", 2)
    asked = door.calls["QueryPerf"]
    running = len(driver.metrics.sample())
    assert door.calls["QueryPerf"] - asked == -(-running // 2)
    # Asked again at once nothing is new, so nobody asks.
    driver.metrics.sample()
    assert door.calls["QueryPerf"] - asked == -(-running // 2)


def test_the_hosts_are_measured_together(driver: VsphereDriver) -> None:
    sample = driver.metrics.host_sample()
    assert 0 < sample.cpu_busy_ns <= sample.cpu_total_ns
    assert 0 < sample.memory_used_mib <= sample.memory_mib


def test_a_server_that_does_not_tell_is_heard_about(driver: VsphereDriver, make_vm: MakeVm, door: Door) -> None:
    make_vm(start=True)
    with door.failing("QueryPerf", fault="HostCommunication"), pytest.raises(Transient):
        driver.metrics.sample()
