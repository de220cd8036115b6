"""Half-way failures, slow clouds and full ones: nothing of what failed stays or looks like success."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from providers.base import (
    CloudInit,
    DiskSpec,
    NicSpec,
    OutOfCapacity,
    PowerState,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    TimedOut,
    Unreachable,
    VmSpec,
)
from providers.openstack.config import OpenStackConfig
from providers.openstack.driver import OpenStackDriver
from tools.peers.openstack.simulator import Simulator


def wish(simulator: Simulator, **changes: Any) -> VmSpec:
    content = simulator.content
    return VmSpec.model_validate(
        {
            "name": "kvweb-test-half",
            "portal_uuid": str(uuid.uuid4()),
            "flavor": "kvweb.tiny",
            "disks": (DiskSpec(image=content["image"]), DiskSpec(size_gib=2)),
            "nics": (NicSpec(network=content["network"], mac="52:54:00:00:00:77", address="10.20.0.77/20"),),
            "cloud_init": CloudInit(hostname="half"),
            "options": {"floating_address": True, "security_groups": ["default"]},
            **changes,
        }
    )


def held(simulator: Simulator) -> dict[str, set[str]]:
    return {kind: set(simulator.cloud.of(kind)) for kind in ("servers", "volumes", "ports", "floatingips")}


#: Where a creation can break off: the call, and how many of its kind go well before.
STEPS = {
    "first volume": ("POST /volume/v3/volumes", 0),
    "waiting for it": ("GET /volume/v3/volumes/", 0),
    "second volume": ("POST /volume/v3/volumes", 1),
    "port": ("POST /network/v2.0/ports", 0),
    "server": ("POST /compute/v2.1/servers", 0),
    "waiting for the server": ("GET /compute/v2.1/servers/", 2),
    "floating address": ("POST /network/v2.0/floatingips", 0),
    "reading it again": ("GET /network/v2.0/ports", 1),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_creation_that_breaks_off_leaves_nothing(step: str, simulator: Simulator, driver: OpenStackDriver) -> None:
    where, after = STEPS[step]
    before = held(simulator)
    spec = wish(simulator)
    simulator.fail(where, "500", after=after)
    with pytest.raises(ProviderError):
        driver.machines.create(spec)
    broken = bool(simulator.cloud.faults)
    simulator.heal()
    assert broken
    # What could not be asked while the service was away is found by the sweep.
    driver.machines.discard(spec.portal_uuid)
    assert held(simulator) == before


def test_what_a_killed_worker_left_is_swept_and_a_finished_vm_is_not(
    simulator: Simulator, driver: OpenStackDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, spec = held(simulator), wish(simulator)
    with monkeypatch.context() as patch:
        patch.setattr("providers.openstack.creation.Creation._take_back", lambda self: None)
        simulator.fail("POST /compute/v2.1/servers", "500")
        with pytest.raises(ProviderError):
            driver.machines.create(spec)
        simulator.heal()
    assert held(simulator) != before
    assert driver.machines.discard(spec.portal_uuid)
    assert held(simulator) == before
    vm = driver.machines.create(spec)
    assert not driver.machines.discard(spec.portal_uuid)
    assert driver.machines.get(vm.external_id).power is PowerState.RUNNING
    driver.machines.delete(vm.external_id)
    assert {kind: held(simulator)[kind] for kind in ("servers", "volumes", "ports")} == {
        kind: before[kind] for kind in ("servers", "volumes", "ports")
    }


def test_everything_that_was_asked_for_is_there(simulator: Simulator, driver: OpenStackDriver) -> None:
    vm = driver.machines.create(wish(simulator, metadata={"owner": "alice"}, tags=("shop",)))
    (nic,) = vm.nics or ()
    assert (nic.mac, nic.addresses[0], nic.network) == (
        "52:54:00:00:00:77",
        "10.20.0.77",
        simulator.content["network"],
    )
    assert [(disk.external_id, disk.size_gib, disk.boot) for disk in vm.disks or ()] == [
        ("vda", 1, True),
        ("vdb", 2, False),
    ]
    assert dict(vm.metadata) == {"owner": "alice"}
    assert vm.image == simulator.content["image"]
    assert simulator.cloud.of("servers")[vm.external_id]["tags"][1:] == ["shop"]


def test_states_that_take_time_are_waited_for(config: OpenStackConfig, simulator: Simulator) -> None:
    simulator.cloud.delay_s = 0.3
    with OpenStackDriver(config) as driver:
        vm = driver.machines.create(wish(simulator, options={}))
        assert vm.power is PowerState.RUNNING
        assert driver.power.stop(vm.external_id).raw_state == "SHUTOFF"
        assert driver.reshape.set_flavor(vm.external_id, "kvweb.small").memory_mib == 512
        driver.machines.delete(vm.external_id)
        assert not simulator.cloud.of("servers")
        assert not simulator.cloud.of("volumes")


def test_a_step_that_never_ends_is_given_up(config: OpenStackConfig, simulator: Simulator) -> None:
    simulator.cloud.delay_s = 3
    with (
        OpenStackDriver(config.model_copy(update={"wait_timeout_s": 1})) as driver,
        pytest.raises(TimedOut, match="1 s"),
    ):
        driver.machines.create(wish(simulator))


def test_a_full_cloud_and_a_full_quota_are_told_apart(simulator: Simulator, driver: OpenStackDriver) -> None:
    before = held(simulator)
    simulator.cloud.host_is_full = True
    with pytest.raises(OutOfCapacity, match="room"):
        driver.machines.create(wish(simulator))
    simulator.cloud.host_is_full = False
    for kind in ("instances", "volumes"):
        simulator.cloud.quota[kind] = 0
        with pytest.raises(QuotaExceeded):
            driver.machines.create(wish(simulator))
        simulator.cloud.quota[kind] = 100
    assert held(simulator) == before


def test_cut_slow_and_throttled_calls_are_what_they_are(simulator: Simulator, config: OpenStackConfig) -> None:
    with OpenStackDriver(config.model_copy(update={"timeout_s": 1})) as driver:
        for kind, error in (("cut", Unreachable), ("slow", Unreachable), ("503", Unreachable)):
            simulator.fail("*", kind)
            with pytest.raises(error):
                driver.machines.list()
            simulator.heal()
        simulator.fail("*", "429")
        with pytest.raises(RateLimited) as caught:
            driver.machines.list()
        simulator.heal()
        assert caught.value.retry_after_s == 7
        assert list(driver.machines.list()) == []


@pytest.mark.parametrize(
    ("name", "hostname", "told"),
    [("grüße", "", "gr--e"), ("a", "", "vm-a"), ("web", "shop.example.org", "shop"), ("ü", "", "vm")],
)
def test_the_guest_has_a_name_that_neutron_takes(
    name: str, hostname: str, told: str, simulator: Simulator, driver: OpenStackDriver
) -> None:
    """Nova makes one of the VM's own name else, and then no host takes it where Neutron keeps names."""
    vm = driver.machines.create(wish(simulator, name=name, cloud_init=CloudInit(hostname=hostname)))
    assert simulator.cloud.of("servers")[vm.external_id]["_hostname"] == told
    assert vm.power is PowerState.RUNNING
