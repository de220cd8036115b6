"""OpenStack to be measured: the simulator with servers, cards and volumes put straight into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from providers.openstack.config import OpenStackConfig
from providers.openstack.driver import OpenStackDriver
from tools.bench.clouds import Room
from tools.peers.openstack.simulator import Simulator


@contextmanager
def openstack(count: int) -> Iterator[Room]:
    simulator = Simulator(quota={"instances": count + 1, "volumes": count + 1, "networks": 100})
    try:
        _fill(simulator, count)
        config = OpenStackConfig(
            auth_url=simulator.auth_url, username="tester", password=SecretStr("right"), project="demo"
        )
        with OpenStackDriver(config) as driver:
            yield Room(driver=driver, calls=lambda: simulator.cloud.calls)
    finally:
        simulator.stop()


def _fill(simulator: Simulator, count: int) -> None:
    content = simulator.content
    for number in range(count):
        disk = simulator.cloud.new(
            "volumes",
            {
                "name": f"vm-{number}-disk0",
                "size": 1,
                "status": "available",
                "bootable": "true",
                "volume_type": "__DEFAULT__",
                "multiattach": False,
                "attachments": [],
                "metadata": {},
            },
        )
        device = {"boot_index": 0, "uuid": disk["id"], "source_type": "volume", "delete_on_termination": True}
        simulator.compute.create(
            {
                "name": f"vm-{number}",
                "flavorRef": "1",
                "networks": [{"uuid": content["network"]}],
                "block_device_mapping_v2": [device],
            }
        )
