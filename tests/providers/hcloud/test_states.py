"""Every state that servers at Hetzner have is one of ours, and its own word is kept."""

from __future__ import annotations

from providers.base import PowerState, VmSpec
from providers.base.specs import DiskSpec
from providers.hcloud.driver import HcloudDriver
from providers.hcloud.records import power_of
from tools.peers.hcloud.contract import contract
from tools.peers.hcloud.server import Peer

MEANT = {
    "deleting": PowerState.STOPPING,
    "initializing": PowerState.STARTING,
    "migrating": PowerState.UNKNOWN,
    "off": PowerState.STOPPED,
    "rebuilding": PowerState.STARTING,
    "running": PowerState.RUNNING,
    "starting": PowerState.STARTING,
    "stopping": PowerState.STOPPING,
    "unknown": PowerState.UNKNOWN,
}


def test_each_state_that_hetzners_schema_knows_has_its_meaning() -> None:
    states = contract()._schemas["server"]["properties"]["status"]["enum"]
    assert {status: power_of({"status": status}) for status in states} == MEANT


def test_the_own_word_is_kept(driver: HcloudDriver, peer: Peer) -> None:
    disks = (DiskSpec(image="1000"),)
    vm = driver.machines.create(VmSpec(name="web-1", flavor="cx22", disks=disks, start=False))
    for status, meant in MEANT.items():
        peer.cloud.tables["servers"][int(vm.external_id)]["status"] = status
        (listed,) = driver.machines.list()
        assert (listed.raw_state, listed.power) == (status, meant)
