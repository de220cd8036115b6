"""Guest: what a guest is told at its first boot arrives unchanged, and the addresses it gets are seen."""

from __future__ import annotations

from providers.base import CloudInit, VmRecord
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
