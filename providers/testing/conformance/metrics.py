"""Metrics: every VM that is on is measured, in one go, and its counters only grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from providers.base import Capabilities, NotSupported, VmSample
from providers.testing.checks import refused
from providers.testing.conformance.budget import cost
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise

COUNTERS = (
    "cpu_time_ns",
    "disk_read_bytes",
    "disk_write_bytes",
    "disk_reads",
    "disk_writes",
    "net_rx_bytes",
    "net_tx_bytes",
)


def _measures_vms(can: Capabilities) -> object:
    return can.metrics and can.metrics.vms and can.power


def _of(lab: Lab, external_id: str) -> VmSample:
    return only(each for each in present(lab.driver.metrics).sample() if each.external_id == external_id)


@promise(when=_measures_vms)
def a_vm_that_is_on_is_measured_and_one_that_is_off_is_not(lab: Lab) -> None:
    power, off = present(lab.driver.power), lab.vm("off")
    vm = lab.running(power.start(lab.vm().external_id))
    sample = _of(lab, vm.external_id)
    assert (sample.vcpus, sample.memory_mib) == (vm.vcpus, vm.memory_mib)
    assert abs(datetime.now(UTC) - sample.at) < timedelta(minutes=2)
    assert off.external_id not in {each.external_id for each in present(lab.driver.metrics).sample()}
    power.stop(vm.external_id, force=True)
    assert vm.external_id not in {each.external_id for each in present(lab.driver.metrics).sample()}


@promise(when=_measures_vms)
def counters_of_a_vm_only_grow(lab: Lab) -> None:
    vm = lab.running(present(lab.driver.power).start(lab.vm().external_id))
    first = _of(lab, vm.external_id)
    for _ in range(3):
        then = _of(lab, vm.external_id)
        assert then.at >= first.at
        for counter in COUNTERS:
            before, after = getattr(first, counter), getattr(then, counter)
            if before is not None and after is not None:
                assert 0 <= before <= after, f"{counter} went from {before} to {after}"
        first = then


@promise(when=_measures_vms)
def what_a_vm_uses_is_not_more_than_it_has(lab: Lab) -> None:
    vm = lab.running(present(lab.driver.power).start(lab.vm().external_id))
    sample = _of(lab, vm.external_id)
    if not present(lab.can.metrics).memory_used:
        assert sample.memory_used_mib is None
    elif sample.memory_used_mib is not None:
        assert 0 <= sample.memory_used_mib <= sample.memory_mib


@promise(when=_measures_vms, given=lambda harness: harness.calls)
def measuring_costs_the_same_for_one_vm_and_for_many(lab: Lab) -> None:
    metrics, power = present(lab.driver.metrics), present(lab.driver.power)
    lab.running(power.start(lab.vm("first").external_id))
    one = cost(lab, metrics.sample)
    for number in range(3):
        lab.running(power.start(lab.vm(f"more{number}").external_id))
    many = cost(lab, metrics.sample)
    assert many <= one, f"{one} calls for one VM, {many} with 3 more"


@promise(when=lambda can: can.metrics and can.metrics.host)
def the_host_is_measured(lab: Lab) -> None:
    metrics = present(lab.driver.metrics)
    first, then = metrics.host_sample(), metrics.host_sample()
    assert 0 <= first.cpu_busy_ns <= first.cpu_total_ns
    assert first.cpu_busy_ns <= then.cpu_busy_ns
    assert first.cpu_total_ns <= then.cpu_total_ns
    assert 0 <= then.memory_used_mib <= then.memory_mib
    assert then.load_1m is None or then.load_1m >= 0


@promise(when=lambda can: can.metrics and not can.metrics.host)
def a_host_that_was_not_probed_is_not_measured(lab: Lab) -> None:
    with refused(NotSupported):
        present(lab.driver.metrics).host_sample()
