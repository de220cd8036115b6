"""What a machine's page changes, at the real libvirt: each button's effect is looked up there and not in our rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from kvweb.accounts.models import Project, User
from kvweb.jobs.models import JobState
from networking.models import Network
from providers import pool
from providers.base import DiskSpec, NicSpec, VmSpec
from providers.kvm.testing import Backend
from providers.models import Health, Provider
from providers.pool import driver_for
from providers.testing import Unavailable
from storage.models import Image, Pool
from tests.vms.conftest import Press, Pressed
from vms import inventory
from vms.choices import Presence
from vms.models import VirtualMachine

pytestmark = [pytest.mark.live, pytest.mark.django_db]


@pytest.fixture(scope="module")
def room() -> Iterator[Backend]:
    try:
        backend = Backend()
    except Unavailable as exc:
        pytest.skip(str(exc))
    yield backend
    backend.sweep()
    backend.close()


@pytest.fixture
def vm(room: Backend, project: Project) -> Iterator[VirtualMachine]:
    """Alice's machine at the local libvirt, off, with a disk and a card; its provider's things are known."""
    provider = Provider.objects.create(
        kind="kvm",
        name="Local",
        config=room.config.model_dump(mode="json"),
        capabilities=room.driver.probe().to_json(),
        health=Health.OK,
    )
    Pool.objects.create(provider=provider, external_id=room.name, name=room.name)
    for name in (room.network, room.other_network):
        Network.objects.create(provider=provider, external_id=name, name=name, mode="isolated")
    Image.objects.create(provider=provider, external_id=room.iso, name=f"{room.name}.iso", is_iso=True)
    row = VirtualMachine.objects.create(project=project, provider=provider, name=f"{room.name}-a")
    spec = VmSpec(
        name=row.name,
        portal_uuid=str(row.uuid),
        memory_mib=32,
        disks=(DiskSpec(image=room.image),),
        nics=(NicSpec(network=room.network),),
        start=False,
    )
    with driver_for(provider) as driver:
        inventory.apply(provider, [driver.machines.create(spec)])
    row.refresh_from_db()
    yield row
    room.sweep()
    pool.forget(provider)


def domain(room: Backend, vm: VirtualMachine) -> Any:
    return room.raw.lookupByUUIDString(vm.external_id)


def document(room: Backend, vm: VirtualMachine) -> Any:
    return etree.fromstring(domain(room, vm).XMLDesc(0))


def well(pressed: Pressed) -> None:
    assert pressed.response.status_code in {200, 204}, pressed.text
    assert pressed.job.state == JobState.SUCCEEDED, pressed.job.reason


def test_disks_and_cards_of_a_running_machine(room: Backend, vm: VirtualMachine, press: Press, alice: User) -> None:
    domain(room, vm).create()
    with driver_for(vm.provider) as driver:
        inventory.apply(vm.provider, [driver.machines.get(vm.external_id)])
    vm.refresh_from_db()
    assert vm.is_running

    where = str(Pool.objects.get().uuid)
    well(press(alice, vm, "attach-disk", source="new", size_gib="1", pool=where, bus="virtio", cache="none"))
    target = (vm.disks or [])[-1]["external_id"]
    assert domain(room, vm).blockInfo(target)[0] == 1024**3
    (driver_of,) = document(room, vm).xpath(f"//disk[target/@dev='{target}']/driver")
    assert driver_of.get("cache") == "none"

    well(press(alice, vm, "grow-disk", disk=target, size_gib="2"))
    assert domain(room, vm).blockInfo(target)[0] == 2 * 1024**3

    other = Network.objects.get(name=room.other_network)
    well(press(alice, vm, "add-nic", network=str(other.uuid), mac="52:54:00:aa:bb:01"))
    assert document(room, vm).xpath("//interface[mac/@address='52:54:00:aa:bb:01']/source/@network") == [other.name]
    card = next(nic for nic in vm.nics or [] if nic["mac"] == "52:54:00:aa:bb:01")["external_id"]
    well(press(alice, vm, "change-nic", nic=card, network=str(other.uuid), model="virtio"))
    assert document(room, vm).xpath("//interface[mac/@address='52:54:00:aa:bb:01']/link/@state") == ["down"]


def test_disks_and_media_of_a_machine_that_is_off(room: Backend, vm: VirtualMachine, press: Press, alice: User) -> None:
    where = str(Pool.objects.get().uuid)
    well(press(alice, vm, "attach-disk", size_gib="1", pool=where))
    target = (vm.disks or [])[-1]["external_id"]
    (path,) = document(room, vm).xpath(f"//disk[target/@dev='{target}']/source/@file")
    well(press(alice, vm, "insert-iso", image=str(Image.objects.get().uuid)))
    assert room.iso in document(room, vm).xpath("//disk[@device='cdrom']/source/@file")
    well(press(alice, vm, "eject-iso"))
    assert room.iso not in document(room, vm).xpath("//disk[@device='cdrom']/source/@file")
    well(press(alice, vm, "detach-disk", disk=target, volume="delete", typed=vm.name))
    assert not document(room, vm).xpath(f"//disk[target/@dev='{target}']")
    room.pool.refresh(0)
    assert path not in {volume.path() for volume in room.pool.listAllVolumes(0)}


def test_snapshots_are_taken_gone_back_to_and_deleted(
    room: Backend, vm: VirtualMachine, press: Press, alice: User
) -> None:
    well(press(alice, vm, "take-snapshot", name="a&b<c>", description="First", keeps="disks"))
    well(press(alice, vm, "take-snapshot", name="later", keeps="disks"))
    assert [shot["name"] for shot in vm.snapshots or []] == ["a&b<c>", "later"]
    well(press(alice, vm, "revert-to-snapshot", snapshot="a&b<c>", keep_now="on"))
    assert domain(room, vm).snapshotCurrent(0).getName() in {"a&b<c>"}
    assert len(vm.snapshots or []) == 3
    well(press(alice, vm, "delete-snapshot", snapshot="later"))
    assert "later" not in domain(room, vm).snapshotListNames(0)
    well(press(alice, vm, "take-snapshot", name="layer", keeps="layers"))
    assert next(shot for shot in vm.snapshots or [] if shot["name"] == "layer")["is_external"]
    well(press(alice, vm, "delete-snapshot", snapshot="layer"))
    done = press(alice, vm, "delete", typed=vm.name)
    assert done.job.state == JobState.SUCCEEDED, done.job.reason
    assert vm.presence == Presence.DELETED
    room.pool.refresh(0)
    assert not [volume.name() for volume in room.pool.listAllVolumes(0) if vm.name in volume.name()]


def test_a_machine_is_renamed_cloned_and_made_into_an_image(
    room: Backend, vm: VirtualMachine, press: Press, alice: User
) -> None:
    name = f"{room.name}-{uuid.uuid4().hex[:6]}"
    well(press(alice, vm, "rename", name=name))
    assert domain(room, vm).name() == name
    for way in ("full", "linked"):
        well(press(alice, vm, "clone", name=f"{name}-{way}", way=way))
        copy = VirtualMachine.objects.get(name=f"{name}-{way}")
        assert copy.presence == Presence.PRESENT
        assert domain(room, copy).name() == copy.name
        mine, theirs = (document(room, one).xpath("//interface/mac/@address") for one in (vm, copy))
        assert mine != theirs
    well(press(alice, vm, "export", name=f"{room.name}-golden"))
    image = Image.objects.get(name__startswith=f"{room.name}-golden")
    assert image.project == vm.project
    room.pool.refresh(0)
    assert image.external_id in {volume.key() for volume in room.pool.listAllVolumes(0)}
