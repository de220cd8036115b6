"""Creation: everything that was asked for, in order; and nothing at all when any of its steps fails."""

from __future__ import annotations

import pytest

from providers.base import (
    CloudInit,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NicSpec,
    NotFound,
    OutOfCapacity,
    PowerState,
    ProviderError,
    QuotaExceeded,
    VmSpec,
)
from providers.hcloud import labels
from providers.hcloud.driver import HcloudDriver
from tools.peers.hcloud.server import Peer

#: Tables in which a creation leaves its traces.
MADE = ("servers", "volumes", "primary_ips")


def traces(peer: Peer) -> dict[str, list[int]]:
    with peer.cloud.lock:
        peer.cloud.advance()
        return {table: list(peer.cloud.tables[table]) for table in MADE}


def test_a_rich_vm_has_everything_and_runs(driver: HcloudDriver, rich: VmSpec, peer: Peer) -> None:
    vm = driver.machines.create(rich)
    assert (vm.power, vm.flavor, vm.zone, vm.portal_uuid) == (PowerState.RUNNING, "cx22", "fsn1", rich.portal_uuid)
    assert [disk.size_gib for disk in vm.disks or ()] == [40, 10, 20]
    public, private = vm.nics or ()
    assert len(public.addresses) == 2
    assert private.addresses == ("10.9.0.7",)
    assert vm.metadata == rich.metadata
    server = driver.api.one("servers", vm.external_id)
    assert labels.MAKING not in server["labels"]
    assert {volume["name"] for volume in peer.cloud.tables["volumes"].values()} == {"web-1-disk2", "logs"}


def test_a_vm_without_internet_can_have_a_fixed_address(driver: HcloudDriver, rich: VmSpec) -> None:
    vm = driver.machines.create(rich.model_copy(update={"nics": rich.nics[1:]}))
    assert [nic.addresses for nic in vm.nics or ()] == [("10.9.0.7",)]


def test_it_takes_the_location_and_its_user_data(driver: HcloudDriver, rich: VmSpec, peer: Peer) -> None:
    wish = rich.model_copy(
        update={"zone": "nbg1", "nics": (), "disks": rich.disks[:1], "cloud_init": CloudInit(packages=("nginx",))}
    )
    vm = driver.machines.create(wish)
    assert vm.zone == "nbg1"
    assert "nginx" in peer.cloud.user_data[int(vm.external_id)]


REQUESTS = (
    ("POST", r"/servers$"),
    ("POST", r"/volumes$"),
    ("POST", r"attach_to_network$"),
    ("POST", r"poweron$"),
    ("PUT", r"/servers/\d+$"),
    ("GET", r"/actions/\d+$"),
)


@pytest.mark.parametrize("kind", ["resource_limit_exceeded", "unavailable", "unknown", "cut"])
@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_creation_that_fails_half_way_leaves_nothing(
    driver: HcloudDriver, rich: VmSpec, peer: Peer, method: str, path: str, kind: str
) -> None:
    before = traces(peer)
    # Long enough to be asked about.
    peer.cloud.slow["create_server"] = 0.03
    with peer.failing(kind, method=method, path=path, times=1), pytest.raises(ProviderError):
        driver.machines.create(rich)
    assert traces(peer) == before


def test_the_second_volume_that_fails_takes_the_first_along(driver: HcloudDriver, rich: VmSpec, peer: Peer) -> None:
    before = traces(peer)
    full = peer.failing("no_space_left_in_location", method="POST", path="/volumes$", after=1, times=1)
    with full, pytest.raises(OutOfCapacity):
        driver.machines.create(rich)
    assert traces(peer) == before


@pytest.mark.parametrize("command", ["create_server", "attach_volume", "attach_to_network", "start_server"])
def test_an_action_that_fails_leaves_nothing(driver: HcloudDriver, rich: VmSpec, peer: Peer, command: str) -> None:
    before = traces(peer)
    peer.cloud.failing[command] = 1
    with pytest.raises(ProviderError):
        driver.machines.create(rich)
    assert traces(peer) == before


def test_an_answer_that_was_lost_leaves_no_server(driver: HcloudDriver, rich: VmSpec, peer: Peer) -> None:
    """The server was made, but nobody heard its id."""
    before = traces(peer)
    with peer.failing("lost", method="POST", path="/servers$", times=1), pytest.raises(ProviderError):
        driver.machines.create(rich)
    assert traces(peer) == before


def test_what_a_dead_worker_left_is_found_and_a_whole_vm_is_not(driver: HcloudDriver, rich: VmSpec, peer: Peer) -> None:
    before = traces(peer)
    vm = driver.machines.create(rich)
    assert driver.machines.discard(rich.portal_uuid) is False
    told = {**driver.api.one("servers", vm.external_id)["labels"], labels.MAKING: "somebody"}
    driver.api.put(f"/servers/{vm.external_id}", {"labels": told})
    assert driver.machines.discard(rich.portal_uuid) is True
    assert traces(peer) == before


def test_an_unfinished_vm_is_made_anew_when_its_job_runs_again(driver: HcloudDriver, rich: VmSpec) -> None:
    first = driver.machines.create(rich)
    told = {**driver.api.one("servers", first.external_id)["labels"], labels.MAKING: "somebody"}
    driver.api.put(f"/servers/{first.external_id}", {"labels": told})
    second = driver.machines.create(rich)
    assert second.external_id != first.external_id
    assert [vm.external_id for vm in driver.machines.list()] == [second.external_id]


WRONG = (
    ({"flavor": ""}, InvalidRequest, "flavor"),
    ({"flavor": "cx999"}, NotFound, ""),
    ({"flavor": "cax11"}, InvalidRequest, "flavor"),
    ({"zone": "atlantis"}, InvalidRequest, "zone"),
    ({"disks": ()}, InvalidRequest, "image"),
    ({"disks": (DiskSpec(image="1000", size_gib=50),)}, InvalidRequest, "flavor"),
    ({"disks": (DiskSpec(image="1000"), DiskSpec(size_gib=5))}, InvalidRequest, "size_gib"),
    ({"nics": (NicSpec(network="public"), NicSpec(network="public"))}, InvalidRequest, "nics"),
    ({"nics": (NicSpec(network="public", mac="52:54:00:00:00:01"),)}, InvalidRequest, "mac"),
    ({"options": {"firewalls": ("none such",)}}, NotFound, ""),
    ({"options": {"ssh_keys": ("none such",)}}, InvalidRequest, "ssh_keys"),
    ({"description": "words"}, InvalidRequest, "description"),
    ({"firmware": "uefi"}, InvalidRequest, "firmware"),
    ({"cloud_init": CloudInit(user_data="#!/bin/sh\n" + "x" * 40_000)}, InvalidRequest, "user_data"),
    ({"metadata": {"key": "x" * 80}}, InvalidRequest, "metadata"),
)


@pytest.mark.parametrize(("changes", "error", "field"), WRONG)
def test_what_cannot_be_had_is_refused_with_its_field(
    driver: HcloudDriver, peer: Peer, changes: dict[str, object], error: type[ProviderError], field: str
) -> None:
    plain = {"name": "web-1", "flavor": "cx22", "disks": (DiskSpec(image="1000"),), "nics": ()}
    with pytest.raises(error) as caught:
        driver.machines.create(VmSpec.model_validate(plain | changes))
    assert caught.value.field == field
    assert traces(peer) == {table: [] for table in MADE}


def test_a_size_that_is_sold_out_and_a_limit_have_errors_of_their_own(driver: HcloudDriver, peer: Peer) -> None:
    spec = VmSpec(name="web-1", flavor="ccx13", zone="nbg1", disks=(DiskSpec(image="1000"),))
    with pytest.raises(OutOfCapacity):
        driver.machines.create(spec)
    peer.cloud.limits["servers"] = 0
    with pytest.raises(QuotaExceeded):
        driver.machines.create(spec.model_copy(update={"zone": "fsn1"}))


def test_deleting_takes_its_own_volumes_and_no_others(driver: HcloudDriver, rich: VmSpec, peer: Peer) -> None:
    vm = driver.machines.create(rich)
    other = driver.api.post("/volumes", {"name": "archive", "size": 10, "location": "fsn1"})["volume"]
    driver.disks.attach(vm.external_id, DiskSpec(volume=str(other["id"])))
    driver.machines.delete(vm.external_id)
    assert list(peer.cloud.tables["volumes"]) == [other["id"]]
    assert peer.cloud.tables["volumes"][other["id"]]["server"] is None


def test_a_protected_server_is_not_deleted(driver: HcloudDriver, rich: VmSpec, peer: Peer) -> None:
    vm = driver.machines.create(rich)
    peer.cloud.tables["servers"][int(vm.external_id)]["protection"]["delete"] = True
    with pytest.raises(Conflict):
        driver.machines.delete(vm.external_id)
    assert driver.machines.get(vm.external_id).power is PowerState.RUNNING
