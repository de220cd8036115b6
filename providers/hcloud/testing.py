"""A simulated Hetzner Cloud for the conformance suite: over HTTP, held against Hetzner's own schemas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

from pydantic import SecretStr

from providers.base import DiskSpec, Driver, NicSpec, VmRecord, VmSpec
from providers.hcloud.config import HcloudConfig
from providers.hcloud.driver import HcloudDriver
from providers.hcloud.plugin import PLUGIN
from providers.testing import Harness, Unavailable

#: The suite's words for faults, and the simulator's.
FAULTS = {"unreachable": "cut", "rate_limited": "rate_limited", "auth": "auth", "unknown": "unknown"}
BUDGETS = {"list": 1, "get": 2, "start": 5, "stop": 5, "create": 12, "delete": 4, "snapshot": 7}


def config_of(peer: Any) -> HcloudConfig:
    """Impatient enough for tests."""
    return HcloudConfig(
        token=SecretStr(peer.cloud.token),
        endpoint=peer.url,
        timeout_s=5.0,
        action_timeout_s=20.0,
        retry_s=2.0,
        poll_s=0.01,
        watch_s=0.1,
    )


def harness(mode: str = "offline") -> Harness:
    if mode == "live":
        raise Unavailable("There is no account at Hetzner for tests.")
    try:
        server = import_module("tools.peers.hcloud.server")
        contract = import_module("tools.peers.hcloud.contract")
    except ImportError as exc:
        raise Unavailable(f"The simulated Hetzner Cloud needs more packages: {exc}") from exc
    try:
        peer = server.Peer(contract=contract.contract() if mode == "offline" else None)
    except contract.Missing as exc:
        raise Unavailable(str(exc)) from exc
    peer.__enter__()
    cloud = peer.cloud
    config = config_of(peer)
    import_module("tools.peers.hcloud.services").add_zone(cloud, "demo.test")
    with HcloudDriver(config) as driver:
        first, second, third = (driver.api.post("/networks", _network(number))["network"]["id"] for number in (1, 2, 3))

    @contextmanager
    def failing_create() -> Iterator[None]:
        cloud.failing["start_server"] = cloud.failing["attach_to_network"] = 1
        try:
            yield
        finally:
            cloud.failing.clear()

    def fault(word: str) -> AbstractContextManager[Any]:
        found: AbstractContextManager[Any] = peer.failing(FAULTS[word])
        return found

    def close() -> None:
        peer.stop()
        if peer.violations:
            raise AssertionError(f"Not as Hetzner's schemas say: {sorted(set(peer.violations))[:5]}")

    return Harness(
        plugin=PLUGIN,
        config=config,
        minimal=VmSpec(
            name="minimal", flavor="cx22", disks=(DiskSpec(image="1000"),), nics=(NicSpec(network=str(first)),)
        ),
        image="1000",
        iso="iso-500",
        network=str(second),
        other_network=str(third),
        free_cidr="10.77.0.0/16",
        dns_zone="demo.test",
        min_disk_gib=10,
        timeout_s=10.0,
        many=12 if mode == "offline" else 1000,
        calls=lambda driver: as_hcloud(driver).api.calls,
        budgets=BUDGETS,
        wrong_credentials=config.model_copy(update={"token": SecretStr("w" * 64)}),
        unreachable=config.model_copy(update={"endpoint": "http://127.0.0.1:9/v1"}),
        fault=fault,
        create_fault=failing_create,
        user_data=lambda driver, vm: str(cloud.user_data[int(vm.external_id)]),
        mark_disk=lambda driver, vm, text: _mark(cloud, vm, text),
        read_mark=lambda driver, vm: str(cloud.disks[int(vm.external_id)]),
        on_close=close,
    )


def _network(number: int) -> dict[str, Any]:
    whole = f"10.{number}.0.0/16"
    subnet = {"type": "cloud", "ip_range": whole, "network_zone": "eu-central"}
    return {"name": f"net-{number}", "ip_range": whole, "subnets": [subnet]}


def _mark(cloud: Any, vm: VmRecord, text: str) -> None:
    cloud.disks[int(vm.external_id)] += text


def as_hcloud(driver: Driver) -> HcloudDriver:
    """The driver itself, which a test may have wrapped."""
    inner = getattr(driver, "inner", driver)
    if not isinstance(inner, HcloudDriver):
        raise TypeError("This is not a driver of Hetzner Cloud.")
    return inner
