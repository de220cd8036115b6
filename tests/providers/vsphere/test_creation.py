"""Making a VM: whatever step fails, nothing stays; what a dead worker left is found; what is asked for arrives."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from providers.base import (
    AlreadyExists,
    CloudInit,
    Conflict,
    DiskSpec,
    ImageSpec,
    InvalidRequest,
    NetworkMode,
    NetworkSpec,
    NicSpec,
    NotFound,
    OutOfCapacity,
    PowerState,
    ProviderError,
    Unreachable,
    VmSpec,
    VolumeSpec,
)
from providers.guest.cloudinit import SeedTexts
from providers.guest.seed import seed_iso
from providers.vsphere import guestinfo
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.native import vim
from providers.vsphere.properties import below, read_one
from providers.vsphere.site import vm_folder
from providers.vsphere.testing import Backend
from tests.providers.vsphere.conftest import MakeVm
from tools.peers.vsphere.door import Door

Spec = Callable[..., VmSpec]

#: Every call that changes something on the way to a VM of a template that runs.
STEPS = ("CloneVM_Task", "ReconfigVM_Task", "PowerOnVM_Task")
WAYS: dict[str, dict[str, Any]] = {
    "refused": {"fault": "NoDiskSpace"},
    "cut before": {"cut": "before"},
    "cut after": {"cut": "after"},
    "throttled": {"status": 503},
}


def everything(driver: VsphereDriver) -> set[str]:
    return {vm.name for vm in driver.machines.list()} | {volume.external_id for volume in driver.volumes.list()}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_nothing(driver: VsphereDriver, door: Door, spec: Spec, step: str, how: str) -> None:
    before = everything(driver)
    with door.failing(step, times=1, **WAYS[how]), pytest.raises(ProviderError):
        driver.machines.create(spec(start=True))
    assert everything(driver) == before


def test_making_an_empty_vm_leaves_nothing_either(
    driver: VsphereDriver, door: Door, spec: Spec, vcenter: Backend
) -> None:
    before = everything(driver)
    wish = spec(disks=(DiskSpec(size_gib=1, pool=vcenter.pool),), start=True)
    for step in ("CreateVM_Task", "PowerOnVM_Task"):
        with door.failing(step, fault="InsufficientResourcesFault", times=1), pytest.raises(OutOfCapacity):
            driver.machines.create(wish)
        assert everything(driver) == before


def test_a_task_that_fails_later_leaves_nothing(driver: VsphereDriver, door: Door, spec: Spec) -> None:
    before = everything(driver)
    # The third question about a task is the one after the change: the answer is lost while the server goes on.
    with door.failing("RetrievePropertiesEx", status=503, after=4, times=1), pytest.raises(ProviderError):
        driver.machines.create(spec(start=True))
    assert everything(driver) == before


def test_what_a_dead_worker_left_is_taken_away_and_nothing_else(
    driver: VsphereDriver, door: Door, spec: Spec, make_vm: MakeVm
) -> None:
    complete = make_vm(portal_uuid=str(uuid.uuid4()))
    portal_uuid = str(uuid.uuid4())
    wish = spec(portal_uuid=portal_uuid)
    # Neither the change nor the clearing up goes through, as when the process is killed.
    with (
        door.failing("ReconfigVM_Task", fault="NoDiskSpace"),
        door.failing("FindByUuid", status=503, after=1),
        pytest.raises(ProviderError),
    ):
        driver.machines.create(wish)
    assert wish.name in {vm.name for vm in driver.machines.list()}
    assert driver.machines.discard(portal_uuid)
    assert not driver.machines.discard(portal_uuid)
    assert not driver.machines.discard(complete.portal_uuid)
    names = {vm.name for vm in driver.machines.list()}
    assert wish.name not in names
    assert complete.name in names


def test_the_same_job_again_clears_up_and_makes_it(driver: VsphereDriver, door: Door, spec: Spec) -> None:
    wish = spec(portal_uuid=str(uuid.uuid4()))
    with (
        door.failing("ReconfigVM_Task", fault="NoDiskSpace"),
        door.failing("FindByUuid", status=503, after=1),
        pytest.raises(ProviderError),
    ):
        driver.machines.create(wish)
    record = driver.machines.create(wish)
    assert [nic.network for nic in record.nics or ()] == [nic.network for nic in wish.nics]
    driver.machines.delete(record.external_id)


def test_cloud_init_is_told_through_the_hypervisor(driver: VsphereDriver, make_vm: MakeVm, vcenter: Backend) -> None:
    nic = NicSpec(network=vcenter.network, address="192.0.2.7/24", gateway="192.0.2.1")
    vm = make_vm(cloud_init=CloudInit(hostname="guest", packages=("htop",)), nics=(nic,))
    told = guest_info(driver, vm.external_id)
    assert told[f"{guestinfo.META_DATA}.encoding"] == "base64"
    meta = yaml.safe_load(base64.b64decode(told[guestinfo.META_DATA]))
    network = yaml.safe_load(base64.b64decode(meta["network"]))
    assert (meta["local-hostname"], meta["network.encoding"]) == ("guest", "base64")
    card = network["ethernets"]["nic0"]
    assert card["addresses"] == ["192.0.2.7/24"]
    assert card["match"]["macaddress"] == (vm.nics or ())[0].mac
    assert b"htop" in base64.b64decode(told[guestinfo.USER_DATA])
    driver.reshape.remove_cloud_init(vm.external_id)
    assert not guest_info(driver, vm.external_id)


def guest_info(driver: VsphereDriver, external_id: str) -> dict[str, str]:
    paths = {key: f'config.extraConfig["{key}"]' for key in guestinfo.KEYS}
    vm = driver.connection.object(vim.VirtualMachine, external_id)
    found = read_one(driver.connection, vm, *paths.values())
    return {key: below(found.values[path], "value") for key, path in paths.items() if path in found.values}


def test_a_copy_made_beside_the_portal_does_not_pass_for_the_original(driver: VsphereDriver, make_vm: MakeVm) -> None:
    vm = make_vm(portal_uuid=str(uuid.uuid4()))
    assert vm.portal_uuid
    # Somebody clones it in vCenter: the note goes along, the instance uuid does not.
    handle = driver.connection.object(vim.VirtualMachine, vm.external_id)
    handle.ReconfigVM_Task(vim.vm.ConfigSpec(instanceUuid=str(uuid.uuid4())))
    assert driver.machines.get(vm.external_id).portal_uuid == ""


def test_a_disk_smaller_than_its_image_is_refused(driver: VsphereDriver, spec: Spec, vcenter: Backend) -> None:
    larger = driver.machines.create(spec(disks=(DiskSpec(size_gib=3, pool=vcenter.pool),)))
    image = driver.clones.export(larger.external_id, f"{larger.name}-image") if driver.clones else None
    assert image is not None
    with pytest.raises(InvalidRequest):
        driver.machines.create(spec(disks=(DiskSpec(image=image.external_id, size_gib=1),)))
    grown = driver.machines.create(spec(disks=(DiskSpec(image=image.external_id, size_gib=5),)))
    assert [disk.size_gib for disk in grown.disks or ()] == [5]
    driver.machines.delete(grown.external_id)
    driver.machines.delete(larger.external_id)
    driver.images.delete(image.external_id)


def test_names_are_refused_that_vsphere_would_change(driver: VsphereDriver, spec: Spec) -> None:
    for name in ("a/b", "a\\b", "50%", " a"):
        with pytest.raises(InvalidRequest):
            driver.machines.create(spec(name=name))


def test_memory_that_the_server_would_not_take_is_refused(driver: VsphereDriver, spec: Spec, make_vm: MakeVm) -> None:
    with pytest.raises(InvalidRequest):
        driver.machines.create(spec(memory_mib=66))
    with pytest.raises(InvalidRequest):
        driver.reshape.set_memory(make_vm().external_id, 101)


def test_a_lost_line_is_not_taken_for_a_vanished_image(driver: VsphereDriver, spec: Spec, door: Door) -> None:
    machines = driver.machines
    machines.list()
    for passed in range(4):
        with door.failing("RetrievePropertiesEx", status=502, after=passed, times=1), pytest.raises(Unreachable):
            machines.create(spec())


def test_a_running_vm_grows_only_where_that_was_switched_on(driver: VsphereDriver, make_vm: MakeVm) -> None:
    plain, growing = make_vm(start=True), make_vm(start=True, options={"hot_add": True})
    with pytest.raises(Conflict):
        driver.reshape.set_vcpus(plain.external_id, 2)
    assert driver.reshape.set_vcpus(growing.external_id, 2).vcpus == 2
    assert driver.reshape.set_memory(growing.external_id, 128).memory_mib == 128
    with pytest.raises(Conflict):
        driver.reshape.set_memory(growing.external_id, 64)


def test_a_network_with_a_vlan_is_made_on_the_switch(driver: VsphereDriver, make_vm: MakeVm) -> None:
    wish = NetworkSpec(name="kvweb-test-vlan", mode=NetworkMode.BRIDGE, bridge="DVS0", vlan=42)
    made = driver.networks.create(wish)
    assert (made.vlan, made.type) == (42, "distributed port group")
    with pytest.raises(InvalidRequest):
        driver.networks.create(NetworkSpec(name="other", mode=NetworkMode.BRIDGE, bridge="no-such-switch"))
    vm = make_vm(nics=(NicSpec(network=made.external_id),))
    with pytest.raises(Conflict):
        driver.networks.delete(made.external_id)
    driver.machines.delete(vm.external_id)
    driver.networks.delete(made.external_id)


def test_a_mac_of_another_vm_is_refused(driver: VsphereDriver, spec: Spec, make_vm: MakeVm, vcenter: Backend) -> None:
    mac = "00:50:56:00:12:34"
    make_vm(nics=(NicSpec(network=vcenter.network, mac=mac),))
    with pytest.raises(AlreadyExists):
        driver.machines.create(spec(nics=(NicSpec(network=vcenter.network, mac=mac),)))


def test_a_cluster_pool_and_network_that_are_not_there_are_refused(driver: VsphereDriver, spec: Spec) -> None:
    for wish in (spec(zone="nowhere"), spec(options={"resource_pool": "nowhere"})):
        with pytest.raises(InvalidRequest):
            driver.machines.create(wish)
    with pytest.raises(NotFound):
        driver.machines.create(spec(nics=(NicSpec(network="network-0"),)))


def test_a_vm_is_made_where_it_was_wished(make_vm: MakeVm) -> None:
    assert make_vm(zone="DC0_C0").zone == "DC0_C0"
    assert make_vm(zone="DC0_H0").host == "DC0_H0"


def test_a_provider_of_one_folder_shows_and_makes_only_there(
    driver: VsphereDriver, vcenter: Backend, spec: Spec, make_vm: MakeVm
) -> None:
    outside = make_vm()
    vm_folder(driver.connection).CreateFolder("Portal")
    with VsphereDriver(vcenter.config.model_copy(update={"folder": "Portal"})) as inside:
        assert list(inside.machines.list()) == []
        record = inside.machines.create(spec())
        assert [vm.name for vm in inside.machines.list()] == [record.name]
        assert inside.machines.list()[0].host
        assert inside.machines.find(record.name).external_id == record.external_id
        with pytest.raises(NotFound):
            inside.machines.find(outside.name)
        assert [image.name for image in inside.images.list() if not image.is_iso] == []
        with pytest.raises(AlreadyExists):
            inside.machines.create(spec(name=outside.name))
        assert record.name in {vm.name for vm in driver.machines.list()}
        inside.machines.delete(record.external_id)


# -- what hangs together -----------------------------------------------------------------------------------------------


def test_what_a_linked_clone_builds_on_stays(driver: VsphereDriver, make_vm: MakeVm) -> None:
    assert driver.clones is not None
    vm = make_vm()
    clone = driver.clones.clone(vm.external_id, f"{vm.name}-linked", full=False)
    (base,) = driver.snapshots.list(vm.external_id)
    with pytest.raises(Conflict):
        driver.snapshots.delete(vm.external_id, base.name)
    with pytest.raises(Conflict):
        driver.machines.delete(vm.external_id, with_snapshots=True)
    driver.machines.delete(clone.external_id)
    driver.snapshots.delete(vm.external_id, base.name)
    driver.machines.delete(vm.external_id)


def test_a_volume_that_was_attached_outlives_the_vm(driver: VsphereDriver, make_vm: MakeVm, vcenter: Backend) -> None:

    vm = make_vm()
    volume = driver.volumes.create(VolumeSpec(name=f"{vm.name}-data", size_gib=2, pool=vcenter.pool))
    driver.disks.attach(vm.external_id, DiskSpec(volume=volume.external_id))
    assert driver.volumes.get(volume.external_id).used_by == (vm.external_id,)
    driver.machines.delete(vm.external_id)
    assert driver.volumes.get(volume.external_id).used_by == ()
    driver.volumes.delete(volume.external_id)


def test_a_guest_with_tools_is_asked_and_one_without_is_switched_off(
    driver: VsphereDriver, make_vm: MakeVm, door: Door
) -> None:
    vm = make_vm(start=True)
    asked = door.calls["ShutdownGuest"]
    with pytest.raises(Conflict):
        driver.power.restart(vm.external_id)
    # The simulator sets a guest's facts by keys of this form.
    tools = guestinfo.pairs(
        {
            "SET.guest.toolsRunningStatus": "guestToolsRunning",
            "SET.guest.ipAddress": "192.0.2.9",
        }
    )
    handle = driver.connection.object(vim.VirtualMachine, vm.external_id)
    handle.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=tools))
    running = driver.power.restart(vm.external_id)
    assert running.addresses == ("192.0.2.9",)
    offs = door.calls["PowerOffVM_Task"]
    assert driver.power.stop(vm.external_id).power is PowerState.STOPPED
    assert (door.calls["ShutdownGuest"], door.calls["PowerOffVM_Task"]) == (asked + 1, offs)


def test_an_iso_is_brought_in_listed_and_not_deleted_under_a_vm(
    driver: VsphereDriver, make_vm: MakeVm, vcenter: Backend
) -> None:

    file = vcenter.folder / "disc.iso"
    file.write_bytes(seed_iso(SeedTexts(user_data="nothing", meta_data="")))
    wish = ImageSpec(name="disc", pool=vcenter.pool, path=str(file))
    image = driver.images.add(wish)
    assert (image.is_iso, image.stored_bytes) == (True, file.stat().st_size)
    with pytest.raises(AlreadyExists):
        driver.images.add(wish)
    vm = make_vm(iso=image.external_id)
    with pytest.raises(Conflict):
        driver.images.delete(image.external_id)
    driver.disks.set_iso(vm.external_id, None)
    driver.images.delete(image.external_id)
    with pytest.raises(NotFound):
        driver.images.delete(image.external_id)


def test_what_is_no_iso_is_refused_and_nothing_stays(driver: VsphereDriver, vcenter: Backend, door: Door) -> None:

    file = vcenter.folder / "disc.raw"
    file.write_bytes(bytes(100_000))
    before = everything(driver) | {image.name for image in driver.images.list()}
    with pytest.raises(InvalidRequest):
        driver.images.add(ImageSpec(name="raw", pool=vcenter.pool, path=str(file)))
    assert everything(driver) | {image.name for image in driver.images.list()} == before


def test_the_host_page_sums_up_all_hosts(driver: VsphereDriver) -> None:
    info = driver.host.info()
    assert info.name == "DC0"
    assert (info.cpus_total or 0) > 0
    assert (info.memory_total_mib or 0) > 0
    assert "DC0_H0" in info.details["hosts"]


# -- disks that move ---------------------------------------------------------------------------------------------------


def test_a_disk_moves_to_another_datastore_and_nothing_else_does(
    driver: VsphereDriver, make_vm: MakeVm, vcenter: Backend, door: Door
) -> None:
    other = next(pool for pool in driver.pools.list() if pool.external_id != vcenter.pool)
    vm = make_vm()
    volume = driver.volumes.create(VolumeSpec(name=f"{vm.name}-data", size_gib=2, pool=vcenter.pool))
    driver.disks.attach(vm.external_id, DiskSpec(volume=volume.external_id))
    first, second = driver.machines.get(vm.external_id).disks or ()
    with door.failing("RelocateVM_Task", fault="NoDiskSpace"), pytest.raises(OutOfCapacity):
        driver.disks.move(vm.external_id, second.external_id, other.external_id)
    stayed, moved = driver.disks.move(vm.external_id, second.external_id, other.external_id).disks or ()
    assert stayed == first
    assert (moved.pool, moved.size_gib, moved.bus) == (other.external_id, 2, second.bus)
    assert moved.volume.startswith(f"[{other.name}] ")
    # Again is no harm.
    again = driver.disks.move(vm.external_id, second.external_id, other.external_id)
    assert again.disks == (stayed, moved)
    with pytest.raises(NotFound):
        driver.disks.move(vm.external_id, second.external_id, "no-such-datastore")
    driver.power.start(vm.external_id)
    with pytest.raises(Conflict):
        driver.disks.move(vm.external_id, second.external_id, vcenter.pool)
    driver.power.stop(vm.external_id, force=True)
    # It existed before it was attached, and outlives its VM at the new place too.
    driver.machines.delete(vm.external_id)
    assert driver.volumes.get(moved.volume).pool == other.external_id
    driver.volumes.delete(moved.volume)
