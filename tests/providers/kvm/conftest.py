"""A room at the local libvirt, one per test process."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from providers.base import (
    AlreadyExists,
    DiskSpec,
    NetworkMode,
    NetworkRecord,
    NetworkSpec,
    NicSpec,
    NotFound,
    VmRecord,
    VmSpec,
)
from providers.kvm.testing import Backend
from providers.testing import Unavailable

MakeVm = Callable[..., VmRecord]
MakeNetwork = Callable[..., NetworkRecord]


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """Everything made in it is gone afterwards."""
    try:
        room = Backend()
    except Unavailable as exc:
        pytest.skip(str(exc))
    yield room
    room.sweep()
    room.close()


@pytest.fixture
def wish(backend: Backend) -> Callable[..., VmSpec]:
    """A small VM that is not started, under a name of its own."""

    def make(**values: Any) -> VmSpec:
        return VmSpec.model_validate(
            {
                "name": f"{backend.name}-{uuid.uuid4().hex[:6]}",
                "portal_uuid": str(uuid.uuid4()),
                "memory_mib": 32,
                "disks": (DiskSpec(image=backend.image),),
                "nics": (NicSpec(network=backend.network),),
                "start": False,
                **values,
            }
        )

    return make


@pytest.fixture
def make_vm(backend: Backend, wish: Callable[..., VmSpec]) -> Iterator[MakeVm]:
    """Creates VMs that are deleted with the test."""
    made: list[str] = []

    def make(**values: Any) -> VmRecord:
        record = backend.driver.machines.create(wish(**values))
        made.append(record.external_id)
        return record

    yield make
    here = {record.external_id for record in backend.driver.machines.list()}
    for external_id in made:
        if external_id in here:
            backend.driver.machines.delete(external_id, with_snapshots=True)


@pytest.fixture
def make_network(backend: Backend) -> Iterator[MakeNetwork]:
    """Creates networks on ranges that nobody else here has, isolated unless said otherwise; deleted with the test."""
    made: list[str] = []

    def make(**values: Any) -> NetworkRecord:
        name = values.pop("name", f"{backend.name}-{uuid.uuid4().hex[:6]}")
        wishes = {"mode": NetworkMode.ISOLATED, "autostart": False, **values}
        for _ in range(20):
            chosen = {"cidr": f"10.213.{random.randrange(256)}.0/24", **wishes}
            try:
                record = backend.driver.networks.create(NetworkSpec.model_validate({"name": name, **chosen}))
            except AlreadyExists:
                if "cidr" in wishes:
                    raise
                continue
            made.append(record.external_id)
            return record
        raise AssertionError("No range is free.")

    yield make
    for external_id in reversed(made):
        with suppress(NotFound):
            backend.driver.networks.delete(external_id, force=True)


@pytest.fixture
def volumes(backend: Backend) -> Callable[[], set[str]]:
    """Names in the room's pool now."""

    def names() -> set[str]:
        return set(backend.pool.listVolumes())

    return names
