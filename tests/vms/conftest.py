"""A machine that really exists in a simulated cloud, and pressing its buttons as a browser does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
from django.test import Client

from kvweb.accounts.models import Project, User
from kvweb.jobs.models import Job
from kvweb.portal.inventory import sync
from providers.base import DiskSpec, NicSpec, VmRecord, VmSpec
from providers.models import Provider
from providers.pool import driver_for
from vms import inventory
from vms.models import VirtualMachine


@pytest.fixture
def stocked(fake_provider: Provider) -> Provider:
    """The provider with its images, pools and networks read."""
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    return fake_provider


class MakeMachine(Protocol):
    def __call__(self, name: str = "web-1", *, start: bool = False, **values: Any) -> VirtualMachine: ...


@pytest.fixture
def machine(stocked: Provider, project: Project) -> MakeMachine:
    """Makes a machine at the provider, with a disk from an image and a card, and its row in the project."""

    def make(name: str = "web-1", *, start: bool = False, **values: Any) -> VirtualMachine:
        image = stocked.images.filter(is_iso=False).order_by("name").first()
        network = stocked.networks.order_by("name").first()
        assert image is not None
        assert network is not None
        vm = VirtualMachine.objects.create(project=project, provider=stocked, name=name, image=image)
        spec = VmSpec(
            name=name,
            portal_uuid=str(vm.uuid),
            disks=(DiskSpec(image=image.external_id),),
            nics=(NicSpec(network=network.external_id),),
            start=start,
            **values,
        )
        with driver_for(stocked) as driver:
            record = driver.machines.create(spec)
        inventory.apply(stocked, [record])
        vm.refresh_from_db()
        return vm

    return make


def at_provider(vm: VirtualMachine) -> VmRecord:
    """What the provider itself says of the machine."""
    with driver_for(vm.provider) as driver:
        return driver.machines.get(vm.external_id)


@dataclass
class Pressed:
    """What came of a button: the answer, and the jobs that ran."""

    response: Any
    jobs: list[Job]

    @property
    def job(self) -> Job:
        assert len(self.jobs) == 1, self.text
        return self.jobs[0]

    @property
    def text(self) -> str:
        return str(self.response.content.decode())


class Press(Protocol):
    def __call__(self, user: User, vm: VirtualMachine, action: str, **values: Any) -> Pressed: ...


@pytest.fixture
def press(run_jobs: Callable[[], list[Job]], client_of: Callable[[User], Client]) -> Press:
    """Sends an action's dialog as htmx does, runs what it started, and reads the machine's row again."""

    def send(user: User, vm: VirtualMachine, action: str, **values: Any) -> Pressed:
        response = client_of(user).post(
            f"/vms/{vm.uuid}/do/{action}", {"confirmed": "1", **values}, headers={"HX-Request": "true"}
        )
        jobs = run_jobs()
        vm.refresh_from_db()
        return Pressed(response, jobs)

    return send


def fault(provider: Provider, place: str, kind: str, times: int = 1) -> None:
    """Make the fake provider fail at a named place."""
    with driver_for(provider) as driver:
        driver.cloud.set_fault(place, kind=kind, times=times)  # type: ignore[attr-defined]
