"""Takes the pictures of screens, while somebody looks at them."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from providers.base import Capabilities, Conflict, Driver, NotFound, NotSupported
from providers.models import Provider
from vms import screenshots
from vms.models import VirtualMachine
from vms.onlookers import Onlooker, Onlookers, Wanted

logger = logging.getLogger(__name__)

#: A machine whose picture could not be taken is left alone for so long.
AFTER_FAILURE_S = 30.0
SWEEP_S = 60.0


class Camera(Onlooker):
    """The pictures of one provider."""

    what = "screens"

    @staticmethod
    def is_offered(can: Capabilities) -> bool:
        return can.consoles is not None and can.consoles.screenshot

    @staticmethod
    def wanted(provider: Provider) -> Wanted:
        return screenshots.looked_at(provider.uuid)

    def next_of(self, wanted: Wanted) -> VirtualMachine | None:
        """The machine whose picture has been due for longest; None when all are fresh enough."""
        now = time.time()
        due: list[tuple[float, UUID]] = []
        for uuid, age_s in wanted.items():
            age = now - (screenshots.taken_at(uuid) or 0.0)
            if age >= age_s and self.is_due(uuid):
                # One that is looked at alone comes before the many of a list.
                due.append((age / age_s, uuid))
        due.sort(reverse=True)
        for _, uuid in due:
            vm = VirtualMachine.objects.select_related("provider").filter(uuid=uuid, provider=self.provider).first()
            if vm is not None and screenshots.may_have(vm):
                return vm
            screenshots.drop(uuid)
            self.leave_alone(uuid, AFTER_FAILURE_S)
        return None

    def take(self, driver: Driver, vm: VirtualMachine) -> None:
        """One picture; a machine that has none now is left alone for a while. Raises ProviderError for the rest."""
        try:
            if driver.consoles is None:
                raise NotSupported
            screenshots.keep(vm.uuid, driver.consoles.screenshot(vm.external_id))
        except (Conflict, NotFound, NotSupported, screenshots.NoPicture) as exc:
            logger.info("There is no picture of the screen of %s: %s", vm.name, exc)
            screenshots.drop(vm.uuid)
            self.leave_alone(vm.uuid, AFTER_FAILURE_S)
        else:
            self.not_before.pop(vm.uuid, None)


def cameras() -> Onlookers[Camera]:
    """One for each provider with machines that somebody looks at; old pictures go."""
    return Onlookers(Camera, sweep=screenshots.sweep, sweep_s=SWEEP_S)
