"""The simulated cloud for the conformance suite: a shared file in a folder of its own, without any delay."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from providers.base import DiskSpec, Driver, NicSpec, ViewerConsole, VmRecord, VmSpec
from providers.fake import viewers
from providers.fake.config import FakeConfig
from providers.fake.driver import FakeDriver
from providers.fake.plugin import PLUGIN
from providers.fake.state import Image, Vm, Volume
from providers.testing import Harness

#: The suite's words for faults, and the cloud's.
FAULTS = {"unreachable": "unreachable", "rate_limited": "rate_limited", "auth": "auth", "unknown": "crash"}
BUDGETS = {"list": 1, "get": 1, "start": 1, "stop": 1, "delete": 1, "create": 5, "snapshot": 1}


def harness(mode: str = "offline", **settings: Any) -> Harness:
    """A cloud with demonstration content; `settings` change its configuration."""
    folder = Path(tempfile.mkdtemp(prefix="kvweb-fake-"))
    image_file = folder / "image.raw"
    image_file.write_bytes(bytes(512) + b"kvweb" * 1000)
    config = FakeConfig(
        **{
            "path": str(folder / "cloud.sqlite"),
            "username": "tester",
            "password": SecretStr("right"),
            "start_s": 0.0,
            "stop_s": 0.0,
            "create_s": 0.0,
            "lease_s": 0.0,
            "slow_s": 0.05,
            "hang_s": 0.2,
            **settings,
        }
    )
    control = FakeDriver(config)

    @contextmanager
    def failing(place: str, kind: str) -> Iterator[None]:
        control.cloud.set_fault(place, kind=kind, times=-1)
        try:
            yield
        finally:
            control.cloud.clear_faults()

    def fault(word: str) -> AbstractContextManager[None]:
        return failing("*", FAULTS[word])

    def close() -> None:
        control.close()
        shutil.rmtree(folder, ignore_errors=True)

    return Harness(
        plugin=PLUGIN,
        config=config,
        minimal=VmSpec(
            name="minimal",
            memory_mib=64,
            disks=(DiskSpec(image="image-3", pool="pool-1"),),
            nics=(NicSpec(network="net-1"),),
        ),
        image="image-3",
        iso="image-4",
        network="net-1",
        other_network="net-2",
        pool="pool-1",
        pool_path=lambda name: f"/fake/{name}",
        dns_zone="demo.test",
        image_file=image_file,
        image_url="https://images.example.test/small.qcow2",
        boots=True,
        timeout_s=15.0,
        event_s=10.0,
        many=250 if mode == "bench" else 12,
        calls=lambda driver: as_fake(driver).cloud.calls,
        budgets=BUDGETS,
        second=config.model_copy(update={"path": str(folder / "second.sqlite")}),
        wrong_credentials=config.model_copy(update={"password": SecretStr("wrong")}),
        # A folder where the file should be cannot be opened as one.
        unreachable=config.model_copy(update={"path": str(folder)}),
        fault=fault,
        create_fault=lambda: failing("machines.create:after-disk", "crash"),
        user_data=user_data,
        view=view,
        mark_disk=mark_disk,
        read_mark=read_mark,
        on_close=close,
    )


def as_fake(driver: Driver) -> FakeDriver:
    """The fake behind a driver, which a test may have wrapped."""
    inner = getattr(driver, "inner", driver)
    if not isinstance(inner, FakeDriver):
        raise TypeError("This is not a driver of the simulated cloud.")
    return inner


def view(driver: Driver, vm: VmRecord, ticket: ViewerConsole) -> Callable[[], bool] | None:
    store = as_fake(driver).cloud.store
    is_in = viewers.come(store, vm.external_id, ticket.password)
    return (lambda: viewers.is_there(store, vm.external_id)) if is_in else None


def user_data(driver: Driver, vm: VmRecord) -> str:
    """What the simulated guest was given to read."""
    with as_fake(driver).cloud.store.reading() as tx:
        cloud_init = tx.get(Vm, vm.external_id).cloud_init
    return cloud_init.user_data if cloud_init else ""


def first_volume(driver: Driver, vm: VmRecord) -> Volume:
    with as_fake(driver).cloud.store.reading() as tx:
        disk = next(disk for disk in tx.get(Vm, vm.external_id).disks if disk.volume)
        return tx.get(Volume, disk.volume)


def mark_disk(driver: Driver, vm: VmRecord, text: str) -> None:
    volume = first_volume(driver, vm)
    volume.content += text
    with as_fake(driver).cloud.store.writing() as tx:
        tx.put(volume)


def read_mark(driver: Driver, vm: VmRecord) -> str:
    """What was written after the content of the image."""
    volume = first_volume(driver, vm)
    with as_fake(driver).cloud.store.reading() as tx:
        image = tx.get(Image, vm.image) if vm.image else None
    return volume.content.removeprefix(image.content if image else "")
