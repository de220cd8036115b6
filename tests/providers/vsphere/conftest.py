"""One simulated vCenter for all tests of this kind, and a fresh driver for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from providers.base import DiskSpec, NicSpec, ProviderError, VmRecord, VmSpec
from providers.testing import Unavailable, is_demanded
from providers.testing.harness import PREFIX, fresh_suffix
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.testing import Backend
from tools.peers.vsphere.door import Door

MakeVm = Callable[..., VmRecord]


@pytest.fixture(scope="session")
def vcenter() -> Iterator[Backend]:
    try:
        backend = Backend()
    except Unavailable as exc:
        if is_demanded("vsphere"):
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    yield backend
    backend.close()


@pytest.fixture
def door(vcenter: Backend) -> Door:
    return vcenter.door


@pytest.fixture
def driver(vcenter: Backend) -> Iterator[VsphereDriver]:
    with VsphereDriver(vcenter.config) as opened:
        yield opened


@pytest.fixture
def spec(vcenter: Backend) -> Callable[..., VmSpec]:
    """A wish for a small stopped VM of the template, under a name of its own."""

    def make(**changes: Any) -> VmSpec:
        wish: dict[str, Any] = {
            "name": f"{PREFIX}{fresh_suffix()}",
            "memory_mib": 64,
            "disks": (DiskSpec(image=vcenter.image, pool=vcenter.pool),),
            "nics": (NicSpec(network=vcenter.network),),
            "start": False,
        }
        return VmSpec.model_validate(wish | changes)

    return make


@pytest.fixture
def make_vm(driver: VsphereDriver, spec: Callable[..., VmSpec]) -> Iterator[MakeVm]:
    """Makes VMs that are gone after the test."""
    made: list[str] = []

    def make(**changes: Any) -> VmRecord:
        record = driver.machines.create(spec(**changes))
        made.append(record.external_id)
        return record

    yield make
    for external_id in reversed(made):
        with suppress(ProviderError):
            driver.machines.delete(external_id, with_snapshots=True)
