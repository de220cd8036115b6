"""Guest: what a guest is told at its first boot arrives unchanged, and what it tells of itself is seen."""

from __future__ import annotations

from providers.base import CloudInit, Conflict, NotFound, NotSupported, VmRecord
from providers.testing.checks import refused
from providers.testing.lab import Lab, present
from providers.testing.promises import promise

USER_DATA = (
    "#!/bin/sh\n# quotes ' \" and ü, $HOME, `ticks`, %s, {{ braces }}, <tags> & \\backslashes\\\n\techo done\n\n"
)


@promise(when=lambda can: can.machines.cloud_init, given=lambda harness: harness.user_data)
def user_data_arrives_byte_for_byte(lab: Lab) -> None:
    vm = lab.vm(cloud_init=CloudInit(hostname="guest", user_data=USER_DATA))
    assert present(lab.harness.user_data)(lab.driver, vm) == USER_DATA


@promise(when=lambda can: can.power, given=lambda harness: harness.boots and harness.network)
def a_guest_that_came_up_has_an_address(lab: Lab) -> None:
    vm = lab.vm(start=True)

    def look() -> VmRecord | None:
        record = lab.driver.machines.get(vm.external_id)
        return record if record.addresses else None

    found = present(lab.harness.wait_until(look, "the guest has an address"))
    assert all(nic.addresses_source for nic in found.nics or () if nic.addresses)


@promise(when=lambda can: can.machines.guest and can.power)
def a_guest_tells_of_file_systems_that_its_disks_can_hold_or_nobody_answers(lab: Lab) -> None:
    machines, off = lab.driver.machines, lab.vm("off")
    with refused(Conflict):
        machines.guest(off.external_id)
    vm = lab.vm("on", start=True)
    try:
        told = machines.guest(vm.external_id)
    except Conflict:
        # Nothing boots here, or it has no agent.
        pass
    else:
        disks = {disk.external_id for disk in machines.get(vm.external_id).disks or ()}
        for each in told.file_systems or ():
            assert each.mount_point
            assert set(each.disks) <= disks, "it lies on a disk that the VM does not have"
            assert (each.total_bytes is None) == (each.used_bytes is None)
            assert 0 <= (each.used_bytes or 0) <= (each.total_bytes or 0)
    machines.delete(off.external_id)
    with refused(NotFound):
        machines.guest(off.external_id)


@promise(when=lambda can: not can.machines.guest)
def a_guest_that_cannot_be_asked_is_not_supported(lab: Lab) -> None:
    with refused(NotSupported):
        lab.driver.machines.guest(lab.vm().external_id)
