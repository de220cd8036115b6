"""A simulated cloud for each test, and a driver on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from providers.openstack.config import OpenStackConfig
from providers.openstack.driver import OpenStackDriver
from tools.peers.openstack.simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    made = Simulator()
    yield made
    made.stop()


@pytest.fixture
def config(simulator: Simulator) -> OpenStackConfig:
    return OpenStackConfig(
        auth_url=simulator.auth_url,
        username="tester",
        password=SecretStr("right"),
        project="demo",
        timeout_s=5,
        wait_timeout_s=10,
    )


@pytest.fixture
def driver(config: OpenStackConfig) -> Iterator[OpenStackDriver]:
    with OpenStackDriver(config) as made:
        yield made
