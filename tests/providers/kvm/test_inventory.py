"""A list costs a few calls however many VMs there are, and is right all the same."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from providers.base import InvalidRequest, PowerState, VmRecord
from providers.kvm import inventory
from providers.kvm.inventory import Inventory
from providers.kvm.testing import Backend
from providers.kvm.xml.domain_reader import SeenMachine, read_machine
from tests.providers.kvm.conftest import MakeVm

pytestmark = pytest.mark.live


def virsh(*words: str) -> str:
    """Somebody else changes a VM."""
    return subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", *words], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def reads(backend: Backend) -> Iterator[list[str]]:
    """The uuids whose documents were read since."""
    backend.driver.machines.list()
    found: list[str] = []
    original = Inventory._read

    def counted(self: Inventory, domain: Any, uuid: str, sizes: Any) -> Any:
        found.append(uuid)
        return original(self, domain, uuid, sizes)

    with mock.patch.object(Inventory, "_read", counted):
        yield found


def listed(backend: Backend, vm: VmRecord) -> VmRecord:
    return next(record for record in backend.driver.machines.list() if record.external_id == vm.external_id)


def soon(look: Callable[[], bool]) -> None:
    """Events take a few milliseconds."""
    end = time.monotonic() + 3
    while not look():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_quiet_list_reads_no_document(backend: Backend, make_vm: MakeVm, reads: list[str]) -> None:
    vms = {make_vm().external_id for _ in range(3)}
    backend.driver.machines.list()
    reads.clear()
    for _ in range(3):
        assert vms <= {vm.external_id for vm in backend.driver.machines.list()}
    assert not vms & set(reads)


def test_list_and_get_agree(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(description="the same", metadata={"k": "v"}, autostart=True)
    read = backend.driver.machines.get(vm.external_id)
    assert read == vm
    assert listed(backend, vm) == replace(read, snapshots=None), "Snapshots cost a question for each VM."


@pytest.mark.parametrize(
    ("words", "look"),
    [
        (("desc", "{}", "--config", "said by another"), lambda vm: vm.description == "said by another"),
        (("setvcpus", "{}", "1", "--config"), lambda vm: vm.vcpus == 1),
        (("setmem", "{}", "20M", "--config"), lambda vm: True),
        (("setmaxmem", "{}", "64M", "--config"), lambda vm: (vm.options or {}).get("max_memory_mib") == 64),
        (("autostart", "{}"), lambda vm: vm.autostart is True),
        (("start", "{}", "--paused"), lambda vm: vm.power is PowerState.PAUSED),
    ],
)
def test_what_somebody_else_changes_is_seen(
    backend: Backend, make_vm: MakeVm, words: tuple[str, ...], look: Callable[[VmRecord], bool]
) -> None:
    vm = make_vm(vcpus=2)
    backend.driver.machines.list()
    virsh(*(word.format(vm.external_id) for word in words))
    # Starting with the host has no event: it is asked for every few minutes, here at once.
    with mock.patch.object(inventory, "_AUTOSTART_GOOD_FOR_S", 0.0):
        soon(lambda: look(listed(backend, vm)))


def test_a_name_that_somebody_else_gave_is_seen(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    backend.driver.machines.list()
    virsh("domrename", vm.name, f"{vm.name}-new")
    soon(lambda: listed(backend, vm).name == f"{vm.name}-new")
    assert backend.driver.machines.find(f"{vm.name}-new").external_id == vm.external_id


def test_a_vm_that_somebody_else_removed_is_gone(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    virsh("undefine", vm.external_id)
    assert vm.external_id not in {record.external_id for record in backend.driver.machines.list()}


def test_only_what_changed_is_read_again(backend: Backend, make_vm: MakeVm, reads: list[str]) -> None:
    one, *others = [make_vm() for _ in range(4)]
    backend.driver.machines.list()
    time.sleep(0.1)
    reads.clear()
    virsh("desc", one.external_id, "--config", "new")
    soon(lambda: listed(backend, one).description == "new")
    assert one.external_id in reads
    assert not {vm.external_id for vm in others} & set(reads)


def test_what_has_no_event_is_read_again_after_a_while(backend: Backend, make_vm: MakeVm, reads: list[str]) -> None:
    vms = {make_vm().external_id for _ in range(2)}
    backend.driver.machines.list()
    time.sleep(0.1)
    reads.clear()
    with mock.patch.object(inventory, "GOOD_FOR_S", 0.0):
        backend.driver.machines.list()
    assert vms <= set(reads)


def test_a_vm_between_the_two_halves_of_the_question_is_not_lost(backend: Backend, make_vm: MakeVm) -> None:
    """One that starts after the running ones were told, and before the stopped ones are, is in neither answer."""
    vm = make_vm()
    backend.driver.machines.list()
    raw = backend.driver.connection.raw

    class Line:
        def __getattr__(self, name: str) -> Any:
            return getattr(raw, name)

        def getAllDomainStats(self, stats: int, flags: int) -> list[Any]:  # noqa: N802 - libvirt's name
            answers = raw.getAllDomainStats(stats, flags)
            return [(domain, told) for domain, told in answers if domain.UUIDString() != vm.external_id]

    with mock.patch.object(backend.driver.connection, "raw", Line()):
        assert listed(backend, vm).power is PowerState.STOPPED


def test_one_vm_that_cannot_be_read_does_not_hide_the_others(backend: Backend, make_vm: MakeVm) -> None:
    odd, fine = make_vm(), make_vm()

    def stumbling(text: str, after: str = "") -> SeenMachine:
        if odd.external_id in text:
            raise InvalidRequest("This document is from another world.")
        return read_machine(text, after)

    Inventory.of(backend.driver.connection).forget(odd.external_id)
    with mock.patch.object(inventory, "read_machine", stumbling):
        assert listed(backend, odd).name == odd.name
        assert listed(backend, fine) == replace(fine, snapshots=None)
    Inventory.of(backend.driver.connection).forget(odd.external_id)
    assert listed(backend, odd) == replace(odd, snapshots=None)
