"""One day of a VM at the real services; KVWEB_LIVE=openstack has the conformance suite run there, too."""

from __future__ import annotations

import pytest

from providers.base import CloudInit, ConsoleKind, DiskSpec, NicSpec, NotFound, PowerState, WebSocketConsole
from providers.openstack.driver import OpenStackDriver
from providers.openstack.testing import harness
from providers.testing import Unavailable, mode_of
from providers.testing.harness import PREFIX, fresh_suffix

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(mode_of("openstack") != "live", reason="KVWEB_LIVE does not name openstack"),
    # Real services take their time, the more so on a busy machine.
    pytest.mark.timeout(900),
]


def test_a_day_of_a_vm() -> None:
    try:
        cloud = harness("live")
    except Unavailable as exc:
        pytest.fail(str(exc))
    name = f"{PREFIX}day-{fresh_suffix()}"
    with cloud.open() as driver:
        assert isinstance(driver, OpenStackDriver)
        assert driver.disks is not None
        assert driver.volumes is not None
        spec = cloud.vm_spec(name, start=True, portal_uuid=name, cloud_init=CloudInit(hostname="day"))
        vm = driver.machines.create(spec)
        try:
            assert (vm.power, vm.portal_uuid) == (PowerState.RUNNING, name)
            assert vm.addresses
            assert driver.machines.create(spec).external_id == vm.external_id
            screen = driver.consoles.open(vm.external_id, ConsoleKind.VNC) if driver.consoles else None
            assert isinstance(screen, WebSocketConsole)
            assert "token=" in screen.url
            assert driver.power.pause(vm.external_id).power is PowerState.PAUSED
            assert driver.power.resume(vm.external_id).power is PowerState.RUNNING
            assert len(driver.disks.attach(vm.external_id, DiskSpec(size_gib=1)).disks or ()) == 2
            more = driver.nics.add(vm.external_id, NicSpec(network=cloud.other_network, mac="52:54:00:0a:0b:0c"))
            assert "52:54:00:0a:0b:0c" in {nic.mac for nic in more.nics or ()}
            assert driver.power.stop(vm.external_id).power is PowerState.STOPPED
            assert driver.reshape.set_flavor(vm.external_id, "kvweb.small").memory_mib == 512
            assert driver.reshape.rename(vm.external_id, f"{name}-b").name == f"{name}-b"
        finally:
            driver.machines.delete(vm.external_id)
        with pytest.raises(NotFound):
            driver.machines.get(vm.external_id)
        assert not [port for port in driver.cloud.network.all("/ports", "ports") if port["mac_address"].endswith("0c")]
        assert not [volume for volume in driver.volumes.list() if name in volume.name]
