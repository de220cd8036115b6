"""A machine moves between two real hypervisors by its button, and its row goes with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from kvweb.accounts.models import Project, User
from kvweb.jobs.models import JobState
from providers import pool
from providers.base import DiskSpec, VmSpec
from providers.models import Health, Provider
from providers.pool import driver_for
from tests.providers.kvm.hosts import Host
from tests.vms.conftest import Press
from vms import inventory
from vms.choices import Presence
from vms.models import VirtualMachine

pytestmark = [pytest.mark.live, pytest.mark.django_db]


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    pair = (Host(), Host())
    yield pair
    for host in pair:
        host.close()


def provider_of(host: Host, name: str) -> Provider:
    return Provider.objects.create(
        kind="kvm",
        name=name,
        config=host.driver.config.model_dump(mode="json"),
        capabilities=host.driver.probe().to_json(),
        health=Health.OK,
    )


def test_a_running_machine_moves_there_and_comes_back_switched_off(
    hosts: tuple[Host, Host], press: Press, alice: User, project: Project
) -> None:
    north, south = (provider_of(host, name) for host, name in zip(hosts, ("North", "South"), strict=True))
    vm = VirtualMachine.objects.create(project=project, provider=north, name=f"kvweb-test-{uuid.uuid4().hex[:6]}")
    spec = VmSpec(name=vm.name, portal_uuid=str(vm.uuid), memory_mib=32, disks=(DiskSpec(size_gib=1),), start=True)
    try:
        with driver_for(north) as driver:
            inventory.apply(north, [driver.machines.create(spec)])
        vm.refresh_from_db()
        done = press(alice, vm, "migrate", target=str(south.uuid), copy_storage="on")
        assert done.response.status_code == 204, done.text
        assert done.job.state == JobState.SUCCEEDED, done.job.reason
        assert (vm.provider, vm.power, vm.presence) == (south, "running", Presence.PRESENT)
        assert (hosts[0].vms(), hosts[1].vms()) == (set(), {vm.name})

        press(alice, vm, "force-stop")
        done = press(alice, vm, "migrate", target=str(north.uuid), copy_storage="on")
        assert done.job.state == JobState.SUCCEEDED, done.job.reason
        assert (vm.provider, vm.power) == (north, "stopped")
        assert (hosts[0].vms(), hosts[1].vms()) == ({vm.name}, set())
        assert VirtualMachine.objects.count() == 1
    finally:
        for provider in (north, south):
            pool.forget(provider)
        for host in hosts:
            host.clear()
