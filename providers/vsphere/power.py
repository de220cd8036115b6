"""Power: through the guest's tools where they run, by the switch where they do not."""

from __future__ import annotations

import time

from providers.base import QUIET, Conflict, Power, PowerState, Progress, VmRecord
from providers.vsphere.errors import fault_is, vendor_calls
from providers.vsphere.native import MethodFault
from providers.vsphere.part import Part

_LOOK_S = 0.5


class VspherePower(Part, Power):
    def start(self, external_id: str, progress: Progress = QUIET) -> VmRecord:
        """One that is suspended goes on where it was."""
        with vendor_calls():
            if self.state(external_id) is not PowerState.RUNNING:
                self._switch_on(external_id, progress)
            return self.record(external_id)

    def stop(
        self, external_id: str, *, force: bool = False, timeout_s: float = 60.0, progress: Progress = QUIET
    ) -> VmRecord:
        """A guest without tools cannot be asked, so it is switched off at once."""
        with vendor_calls():
            state = self.state(external_id)
            if state is PowerState.STOPPED:
                return self.record(external_id)
            if force or state is not PowerState.RUNNING or not self._asked(external_id, timeout_s, progress):
                self._switch_off(external_id)
            return self.record(external_id)

    def restart(self, external_id: str, *, force: bool = False, progress: Progress = QUIET) -> VmRecord:
        with vendor_calls():
            if self.state(external_id) is not PowerState.RUNNING:
                raise Conflict("The VM does not run.")
            vm = self.handle(external_id)
            if force:
                self.run_task(vm.ResetVM_Task(), progress, can_stop=False)
            else:
                try:
                    vm.RebootGuest()
                except MethodFault as exc:
                    if not fault_is(exc, "vim.fault.ToolsUnavailable"):
                        raise
                    raise Conflict("VMware Tools do not run in the guest; restart it by force.", str(exc)) from exc
            return self.record(external_id)

    def pause(self, external_id: str) -> VmRecord:
        """Its memory is written to the datastore, and its place on the host becomes free."""
        with vendor_calls():
            if self.state(external_id) is not PowerState.RUNNING:
                raise Conflict("The VM does not run.")
            self.run_task(self.handle(external_id).SuspendVM_Task(), can_stop=False)
            return self.record(external_id)

    def resume(self, external_id: str) -> VmRecord:
        with vendor_calls():
            if self.state(external_id) is not PowerState.PAUSED:
                raise Conflict("The VM is not suspended.")
            self._switch_on(external_id, QUIET)
            return self.record(external_id)

    # -- steps ------------------------------------------------------------------------------------------------------

    def _switch_on(self, external_id: str, progress: Progress) -> None:
        try:
            self.run_task(self.handle(external_id).PowerOnVM_Task(None), progress, can_stop=False)
        except MethodFault as exc:
            # Somebody else was quicker.
            if not fault_is(exc, "vim.fault.InvalidPowerState") or self.state(external_id) is not PowerState.RUNNING:
                raise

    def _switch_off(self, external_id: str) -> None:
        try:
            self.run_task(self.handle(external_id).PowerOffVM_Task(), can_stop=False)
        except MethodFault as exc:
            if not fault_is(exc, "vim.fault.InvalidPowerState") or self.state(external_id) is not PowerState.STOPPED:
                raise

    def _asked(self, external_id: str, timeout_s: float, progress: Progress) -> bool:
        """Whether the guest shut down when it was asked to."""
        try:
            self.handle(external_id).ShutdownGuest()
        except MethodFault as exc:
            if not fault_is(exc, "vim.fault.ToolsUnavailable", "vim.fault.InvalidPowerState"):
                raise
            progress.report(50, "VMware Tools do not run in the guest; switching it off")
            return False
        progress.report(30, "The guest is shutting down")
        until = time.monotonic() + timeout_s
        while self.state(external_id) is not PowerState.STOPPED:
            progress.checkpoint()
            if time.monotonic() > until:
                progress.report(80, "The guest does not listen; switching it off")
                return False
            time.sleep(min(_LOOK_S, max(timeout_s, 0.05)))
        return True
