"""OpenStack to be measured: the simulator with servers, cards and volumes put straight into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from providers.openstack.config import OpenStackConfig
from providers.openstack.driver import OpenStackDriver
from tools.bench.clouds import Room
from tools.peers.openstack.simulator import Simulator

#: kcli asks for the flavor and each volume of each VM.
_KCLI = """
import os, time
from kvirt.providers.openstack import Kopenstack
peer = {"auth_url": os.environ["PEER_URL"], "user": "tester", "password": os.environ["PEER_PASSWORD"]}
client = Kopenstack(version="2", project="demo", **peer)
began = time.perf_counter()
found = client.list()
assert len(found) == int(os.environ["PEER_VMS"]) and found[0]["disks"], len(found)
print(time.perf_counter() - began)
"""


@contextmanager
def openstack(count: int) -> Iterator[Room]:
    simulator = Simulator(quota={"instances": count + 1, "volumes": count + 1, "networks": 100})
    try:
        _fill(simulator, count)
        config = OpenStackConfig(
            auth_url=simulator.auth_url, username="tester", password=SecretStr("right"), project="demo"
        )
        with OpenStackDriver(config) as driver:
            arguments = {
                "PEER_URL": simulator.auth_url,
                "PEER_PASSWORD": simulator.cloud.password,
                "PEER_VMS": str(count),
            }
            yield Room(driver=driver, calls=lambda: simulator.cloud.calls, kcli=_KCLI, arguments=arguments)
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
                "availability_zone": "nova",
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
