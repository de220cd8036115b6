"""What a project holds, counted."""

from __future__ import annotations

from providers.base import DiskSpec, NicSpec, VmSpec
from providers.hcloud.driver import HcloudDriver


def test_the_addresses_of_its_servers_count(driver: HcloudDriver) -> None:
    driver.machines.create(
        VmSpec(name="web-1", flavor="cx22", disks=(DiskSpec(image="1000"),), nics=(NicSpec(network="public"),))
    )
    told = driver.host.info()
    assert told.vms_total == 1
    # One of IPv4 and one of IPv6.
    assert told.details["primary_ips"] == 2
