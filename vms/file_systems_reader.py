"""Asks guests for their file systems, while somebody looks at them."""

from __future__ import annotations

import logging

from providers.base import Capabilities, Conflict, Driver, NotFound, NotSupported
from providers.models import Provider
from vms import file_systems, looking
from vms.models import VirtualMachine
from vms.onlookers import Onlooker, Onlookers, Wanted

logger = logging.getLogger(__name__)

#: How old what a guest told may be, in seconds.
FRESH_S = 20.0
#: A guest that does not answer is waited for each time, so it is asked less often.
AFTER_SILENCE_S = 60.0
#: A machine that is off is looked up again after so long.
AFTER_NOTHING_S = 5.0


class Reader(Onlooker):
    """The guests of one provider."""

    what = "guests"
    # It waits for guests more than it keeps the host busy.
    most_share = 0.5

    @staticmethod
    def is_offered(can: Capabilities) -> bool:
        return can.machines.guest

    @staticmethod
    def wanted(provider: Provider) -> Wanted:
        return dict.fromkeys(looking.looked_at(file_systems.LOOKING, provider.uuid), FRESH_S)

    def next_of(self, wanted: Wanted) -> VirtualMachine | None:
        """The machine that has waited for longest."""
        for uuid in sorted(filter(self.is_due, wanted), key=lambda uuid: self.not_before.get(uuid, 0.0)):
            vm = VirtualMachine.objects.select_related("provider").filter(uuid=uuid, provider=self.provider).first()
            if vm is not None and file_systems.may_ask(vm):
                return vm
            self.leave_alone(uuid, AFTER_NOTHING_S)
        return None

    def take(self, driver: Driver, vm: VirtualMachine) -> None:
        try:
            told = driver.machines.guest(vm.external_id)
        except (Conflict, NotFound, NotSupported) as exc:
            logger.info("The guest of %s tells nothing: %s", vm.name, exc.detail or exc.reason)
            file_systems.keep_silence(vm, exc.reason)
            self.leave_alone(vm.uuid, AFTER_SILENCE_S)
        else:
            file_systems.keep(vm, told)
            self.leave_alone(vm.uuid, FRESH_S)


def readers() -> Onlookers[Reader]:
    """One for each provider with machines that somebody looks at."""
    return Onlookers(Reader)
