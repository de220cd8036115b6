"""Machines that exist only while they run, as other tools make them: what can be done is done, the rest says why."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from providers.base import Conflict, DiskSpec, NicSpec, PowerState
from providers.kvm.testing import Backend

pytestmark = pytest.mark.live

DOCUMENT = """
<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <controller type='pci' model='pcie-root' index='0'/>
    <controller type='pci' model='pcie-root-port'/><controller type='pci' model='pcie-root-port'/>
    <controller type='pci' model='pcie-root-port'/><controller type='pci' model='pcie-root-port'/>
    <controller type='pci' model='pcie-root-port'/><controller type='pci' model='pcie-root-port'/>
    <disk type='file'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
    <interface type='network'><source network='{network}'/><model type='virtio'/></interface>
  </devices>
</domain>"""


@pytest.fixture(scope="module")
def domain(backend: Backend) -> Iterator[Any]:
    name = f"{backend.name}-passing-{uuid.uuid4().hex[:6]}"
    disk = backend.pool.createXML(
        f"<volume><name>{name}.qcow2</name><capacity>1048576</capacity><target><format type='qcow2'/></target></volume>"
    )
    document = DOCUMENT.format(name=name, uuid=uuid.uuid4(), disk=disk.path(), network=backend.network)
    made = backend.raw.createXML(document)
    yield made
    if made.ID() in backend.raw.listDomainsID():
        made.destroy()
    for volume in backend.pool.listAllVolumes():
        if volume.name().startswith(name):
            volume.delete()


def volumes(backend: Backend) -> set[str]:
    return {volume.name() for volume in backend.pool.listAllVolumes()}


def test_what_needs_a_definition_is_refused_before_anything_is_made(backend: Backend, domain: Any) -> None:
    driver, key, before = backend.driver, domain.UUIDString(), volumes(backend)
    for refused in (
        lambda: driver.snapshots.create(key, "then"),
        lambda: driver.snapshots.create(key, "then", external=True),
        lambda: driver.snapshots.create(key, "then", memory=True),
        lambda: driver.reshape.set_vcpus(key, 2),
        lambda: driver.reshape.set_memory(key, 64),
        lambda: driver.reshape.set_options(key, {"watchdog": "i6300esb"}),
        lambda: driver.reshape.set_autostart(key, True),
    ):
        with pytest.raises(Conflict) as caught:
            refused()
        assert caught.value.reason == "It exists only while it runs, so nothing of it can be kept for later."
    assert volumes(backend) == before
    assert driver.snapshots.list(key) == ()


def test_what_a_running_machine_takes_it_takes_until_it_is_gone(backend: Backend, domain: Any) -> None:
    driver, key = backend.driver, domain.UUIDString()
    assert driver.machines.get(key).power is PowerState.RUNNING
    assert len(driver.disks.attach(key, DiskSpec(size_gib=1)).disks or ()) == 2
    assert len(driver.nics.add(key, NicSpec(network=backend.other_network)).nics or ()) == 2
    assert driver.reshape.set_description(key, "a & b").description == "a & b"
    assert driver.reshape.set_metadata(key, "team", "blue").metadata == {"team": "blue"}
    assert driver.power.pause(key).power is PowerState.PAUSED
    assert driver.power.resume(key).power is PowerState.RUNNING
    # It is off, and that is what was asked for, although nothing of it is left to be told.
    assert driver.power.stop(key, force=True).power is PowerState.STOPPED
    assert key not in {record.external_id for record in driver.machines.list()}
