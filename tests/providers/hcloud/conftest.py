"""A simulated project for each test, and a driver that is impatient enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("hcloud")
pytest.importorskip("aiohttp")

from providers.base import DiskSpec, NicSpec, VmSpec
from providers.hcloud.driver import HcloudDriver
from providers.hcloud.testing import config_of
from tools.peers.hcloud.contract import contract
from tools.peers.hcloud.server import Peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(contract=contract()) as running:
        yield running
    assert not running.violations, "Not as Hetzner's schemas say."


@pytest.fixture
def driver(peer: Peer) -> Iterator[HcloudDriver]:
    with HcloudDriver(config_of(peer)) as opened:
        yield opened


@pytest.fixture
def network(driver: HcloudDriver) -> str:
    """A private network without a subnet yet."""
    return str(driver.api.post("/networks", {"name": "inside", "ip_range": "10.9.0.0/16"})["network"]["id"])


@pytest.fixture
def rich(network: str) -> VmSpec:
    """A VM whose creation takes every step there is."""
    return VmSpec(
        name="web-1",
        portal_uuid="9f1c7f30-0000-4000-8000-000000000001",
        flavor="cx22",
        disks=(DiskSpec(image="1000"), DiskSpec(size_gib=10), DiskSpec(size_gib=20, name="logs")),
        nics=(NicSpec(network="public"), NicSpec(network=network, address="10.9.0.7/16")),
        metadata={"owner": "alice", "project": "Häfen & Co"},
    )
