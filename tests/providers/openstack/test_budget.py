"""What a list costs, page by page, and what the SDK's own classes make of the simulator's answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from providers.base import DiskSpec, NicSpec, VmSpec
from providers.openstack.driver import OpenStackDriver
from tools.peers.openstack.simulator import Simulator

BUDGETS = json.loads((Path(__file__).parents[2] / "budgets" / "calls.json").read_text())["openstack"]


def made(simulator: Simulator, driver: OpenStackDriver, count: int) -> None:
    for number in range(count):
        driver.machines.create(
            VmSpec(
                name=f"kvweb-test-{number}",
                flavor="kvweb.tiny",
                disks=(DiskSpec(image=simulator.content["image"]),),
                nics=(NicSpec(network=simulator.content["network"]),),
            )
        )


def test_a_list_costs_its_pages(simulator: Simulator, driver: OpenStackDriver) -> None:
    made(simulator, driver, 25)
    for page, pages in ((1000, 1), (10, 3)):
        simulator.cloud.page = page
        before = simulator.cloud.calls
        found = driver.machines.list()
        assert len(found) == 25
        assert all(vm.disks and vm.nics and vm.vcpus == 1 for vm in found)
        # Servers, ports and volumes; nobody has a floating address.
        assert simulator.cloud.calls - before == (BUDGETS["list"] - 1) * pages + 1


@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
def test_the_sdk_reads_what_the_simulator_tells(simulator: Simulator, driver: OpenStackDriver) -> None:
    made(simulator, driver, 3)
    simulator.cloud.page = 2
    sdk = driver.cloud.sdk
    servers = list(sdk.compute.servers())
    assert [server.status for server in servers] == ["ACTIVE"] * 3
    assert all(server.flavor.original_name == "kvweb.tiny" and server.attached_volumes for server in servers)
    assert {volume.status for volume in sdk.block_storage.volumes()} == {"in-use"}
    assert {network.name for network in sdk.network.networks()} >= {"inner", "other", "public"}
    assert len(list(sdk.network.ports(device_id=servers[0].id))) == 1
    assert [image.name for image in sdk.image.images()] == ["tiny"]
    assert {flavor.name for flavor in sdk.compute.flavors()} == {"kvweb.tiny", "kvweb.small"}
    assert sdk.compute.get_limits().absolute.instances_used == 3
