"""A creation that fails leaves nothing, whichever step it was; one that runs again makes nothing twice."""

from __future__ import annotations

import gzip
import uuid
from typing import Any

import pytest

from providers.aws import inventory, tags
from providers.aws.creation import packed
from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer
from providers.base import (
    Conflict,
    DiskSpec,
    InvalidRequest,
    NetworkMode,
    NetworkSpec,
    NicSpec,
    OutOfCapacity,
    PowerState,
    ProviderError,
    VmSpec,
    VolumeSpec,
)
from providers.testing import Harness

PARTS = ("machines", "volumes", "subnets", "networks", "images", "firewalls")


def everything(driver: AwsDriver) -> set[str]:
    return {item.external_id for part in PARTS for item in getattr(driver, part).list()}


def spec_with_all(driver: AwsDriver, aws: Harness) -> tuple[VmSpec, str, str]:
    """A VM whose creation takes every step: a new subnet, an existing volume, and off at the end."""
    assert driver.networks is not None
    assert driver.volumes is not None
    network = driver.networks.create(
        NetworkSpec(name=f"kvweb-test-{uuid.uuid4().hex[:6]}", mode=NetworkMode.PROVIDER, cidr="10.98.0.0/24")
    )
    volume = driver.volumes.create(
        VolumeSpec(name=f"kvweb-test-{uuid.uuid4().hex[:6]}", size_gib=1, pool="eu-central-1a")
    )
    spec = aws.vm_spec(
        "kvweb-test-half",
        nics=(NicSpec(network=network.external_id),),
        disks=(*aws.minimal.disks, DiskSpec(volume=volume.external_id)),
    )
    return spec, network.external_id, volume.external_id


#: Calls of a creation, in their order, each with how often it goes well before it fails.
STEPS = [
    "DescribeImages",
    "DescribeSubnets",
    "CreateSubnet",
    "RunInstances",
    "AttachVolume",
    "StopInstances",
    "DeleteTags",
]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_creation_that_fails_at_any_step_leaves_nothing(
    driver: AwsDriver, peer: Peer, aws: Harness, when: str
) -> None:
    spec, network, volume = spec_with_all(driver, aws)
    before = everything(driver)
    try:
        for step in STEPS:
            if when == "after" and step.startswith(("Describe", "CreateSubnet", "DeleteTags")):
                # An answer that is lost where something was made and named, or nothing was made at all.
                continue
            fault = {
                "match": f"ec2:{step}",
                "code": "InternalError",
                "status": 500,
                "times": 1,
                "after": when == "after",
            }
            with peer.failing(fault), pytest.raises(ProviderError):
                driver.machines.create(spec)
            assert everything(driver) == before, f"{step} failed {when} it was done, and something is left."
            assert driver.volumes is not None
            assert driver.volumes.get(volume).used_by == ()
    finally:
        assert driver.volumes is not None
        assert driver.networks is not None
        driver.volumes.delete(volume)
        driver.networks.delete(network, force=True)


def test_a_creation_that_goes_well_takes_every_step(driver: AwsDriver, peer: Peer, aws: Harness) -> None:
    spec, network, volume = spec_with_all(driver, aws)
    peer.tell("pace", {"pending": 0.3, "stopping": 0.3, "shutting-down": 0.3})
    vm = driver.machines.create(spec)
    assert (vm.power, len(vm.disks or ())) == (PowerState.STOPPED, 2)
    driver.machines.delete(vm.external_id)
    assert driver.volumes is not None
    assert driver.networks is not None
    assert driver.volumes.get(volume).used_by == (), "A volume that was attached goes on without its VM."
    driver.volumes.delete(volume)
    driver.networks.delete(network)


def test_states_on_the_way_are_told_and_waited_out(driver: AwsDriver, peer: Peer, aws: Harness) -> None:
    vm = driver.machines.create(aws.vm_spec("kvweb-test-slow", start=True))
    power = driver.power
    assert power is not None
    try:
        peer.tell("pace", {"pending": 0.6, "stopping": 0.6, "shutting-down": 0.6})
        driver.cloud.ec2("stop_instances", InstanceIds=[vm.external_id])
        told = driver.machines.get(vm.external_id)
        assert (told.power, told.raw_state) == (PowerState.STOPPING, "stopping")
        assert power.start(vm.external_id).power is PowerState.RUNNING, "It waits for the stop, then starts."
        assert power.stop(vm.external_id).power is PowerState.STOPPED
    finally:
        driver.machines.delete(vm.external_id)
    assert not driver.machines.list()


def test_a_vm_that_aws_gives_up_is_told_and_taken_away(driver: AwsDriver, peer: Peer, aws: Harness) -> None:
    """As when a zone has no room: the VM appears, and is terminated with a reason."""
    from providers.aws.errors import state_reason

    assert isinstance(state_reason("Server.InsufficientInstanceCapacity"), OutOfCapacity)
    assert "encryption" in state_reason("Client.InternalError", "Client error on launch: encrypted volume").reason


def test_a_worker_that_died_leaves_a_vm_that_nobody_sees_and_discard_removes(driver: AwsDriver, aws: Harness) -> None:
    portal_uuid = str(uuid.uuid4())
    vm = driver.machines.create(aws.vm_spec("kvweb-test-died", portal_uuid=portal_uuid))
    assert not driver.machines.discard(portal_uuid), "A VM that is complete is never discarded."
    mark = tags.written({tags.BUILDING: "yes"})
    driver.cloud.ec2("create_tags", Resources=[vm.external_id], Tags=mark)
    assert vm.external_id not in {each.external_id for each in driver.machines.list()}
    assert driver.machines.discard(portal_uuid)
    assert not driver.machines.discard(portal_uuid)
    assert not inventory.instances(driver.cloud)


def test_a_protected_vm_says_so(driver: AwsDriver, aws: Harness) -> None:
    vm = driver.machines.create(aws.vm_spec("kvweb-test-protected", options={"protected": True}))
    try:
        driver.cloud.ec2("modify_instance_attribute", InstanceId=vm.external_id, DisableApiTermination={"Value": True})
        with pytest.raises(Conflict, match="protected"):
            driver.machines.delete(vm.external_id)
    finally:
        driver.cloud.ec2("modify_instance_attribute", InstanceId=vm.external_id, DisableApiTermination={"Value": False})
        driver.machines.delete(vm.external_id)


@pytest.mark.parametrize(
    "changes",
    [
        {"iso": "iso-1"},
        {"firmware": "uefi"},
        {"autostart": True},
        {"disks": ()},
        {"zone": "eu-central-1z"},
        {"metadata": {"aws:mine": "no"}},
        {"description": "x" * 300},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_aws_cannot_do_is_refused_and_not_forgotten(
    driver: AwsDriver, aws: Harness, changes: dict[str, Any]
) -> None:
    with pytest.raises(ProviderError):
        driver.machines.create(aws.vm_spec("kvweb-test-odd", **changes))
    assert not driver.machines.list()


def test_much_first_boot_data_is_packed_and_too_much_refused() -> None:
    assert packed("#!/bin/sh\n") == "#!/bin/sh\n"
    long = "#cloud-config\n" + "runcmd: [true]\n" * 2000
    small = packed(long)
    assert isinstance(small, bytes)
    assert gzip.decompress(small).decode() == long
    import random

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=60_000))
    with pytest.raises(InvalidRequest, match="16 KiB"):
        packed(noise)


def test_a_delete_never_touches_a_bucket_of_the_same_name(driver: AwsDriver, aws: Harness) -> None:
    buckets = driver.buckets
    assert buckets is not None
    buckets.create("kvweb-test-same-name")
    vm = driver.machines.create(aws.vm_spec("kvweb-test-same-name"))
    driver.machines.delete(vm.external_id)
    assert "kvweb-test-same-name" in buckets.list()
    buckets.delete("kvweb-test-same-name")
