"""Power of simulated VMs. Starting takes `start_s`, a guest needs `stop_s` to shut down."""

from __future__ import annotations

from providers.base import QUIET, Conflict, EventTopic, Power, PowerState, Progress, VmRecord
from providers.fake.cloud import Part
from providers.fake.events import RESTARTED
from providers.fake.records import vm_record
from providers.fake.vms import power_off, power_on, saved, tell_of_boot, vm_of


class FakePower(Part, Power):
    def start(self, external_id: str, progress: Progress = QUIET) -> VmRecord:
        """Answers at once with STARTING; it runs `start_s` later without anybody's help."""
        with self.cloud.writing("power.start", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            if vm.power is PowerState.PAUSED:
                raise Conflict("The VM is paused; resume it.")
            if not vm.is_stopped and vm.power is not PowerState.STOPPING:
                return vm_record(tx, vm, self.cloud.config.lease_s)
            power_on(self.cloud, tx, vm)
            return saved(self.cloud, tx, vm, "starting")

    def stop(
        self, external_id: str, *, force: bool = False, timeout_s: float = 60.0, progress: Progress = QUIET
    ) -> VmRecord:
        """Waits for the guest; one that ignores the request is switched off after `timeout_s`."""
        config = self.cloud.config
        with self.cloud.writing("power.stop", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            if vm.is_stopped and vm.power is not PowerState.CRASHED:
                return vm_record(tx, vm, config.lease_s)
            # Frozen vCPUs and firmware without a guest hear no request.
            hears = not (vm.ignores_shutdown or vm.power is PowerState.PAUSED or not vm.has_guest)
            needed_s = config.stop_s if hears else timeout_s
            if force or vm.power is PowerState.CRASHED or min(needed_s, timeout_s) <= 0:
                power_off(vm)
                return saved(self.cloud, tx, vm, "stopped")
            before = vm.power
            vm.power, vm.then = PowerState.STOPPING, None
            if hears:
                vm.then, vm.ready_at = PowerState.STOPPED, tx.now + needed_s
                tx.note(EventTopic.VM, vm.id, "stopped", due=vm.ready_at)
            saved(self.cloud, tx, vm, "stopping")
        progress.report(30, "The guest is shutting down.")
        try:
            self.cloud.wait(min(needed_s, timeout_s), progress)
        except BaseException:
            self._leave(external_id, before)
            raise
        return self._finish_stop(external_id)

    def _finish_stop(self, external_id: str) -> VmRecord:
        with self.cloud.store.writing() as tx:
            vm = vm_of(tx, external_id)
            # Somebody may have started it again in the meantime; only what is still stopping is switched off.
            if vm.power is PowerState.STOPPING:
                power_off(vm)
            return saved(self.cloud, tx, vm, "stopped")

    def _leave(self, external_id: str, before: PowerState) -> None:
        """Waiting was cancelled: a guest that hears goes on shutting down, another is as it was."""
        with self.cloud.store.writing() as tx:
            vm = vm_of(tx, external_id)
            if vm.power is PowerState.STOPPING and vm.then is None:
                vm.power = before
                saved(self.cloud, tx, vm, "goes on")

    def restart(self, external_id: str, *, force: bool = False, progress: Progress = QUIET) -> VmRecord:
        """The VM keeps running, as at a hypervisor; its guest boots again."""
        del force
        with self.cloud.writing("power.restart", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            if vm.power is not PowerState.RUNNING:
                raise Conflict("The VM does not run.")
            vm.boots += 1
            vm.booted_at = tx.now + self.cloud.config.start_s
            tell_of_boot(self.cloud, tx, vm)
            return saved(self.cloud, tx, vm, RESTARTED)

    def pause(self, external_id: str) -> VmRecord:
        with self.cloud.writing("power.pause", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            if vm.power is not PowerState.RUNNING:
                raise Conflict("Only a running VM can be paused.")
            vm.power = PowerState.PAUSED
            return saved(self.cloud, tx, vm, "paused")

    def resume(self, external_id: str) -> VmRecord:
        with self.cloud.writing("power.resume", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            if vm.power is not PowerState.PAUSED:
                raise Conflict("The VM is not paused.")
            vm.power = PowerState.RUNNING
            return saved(self.cloud, tx, vm, "resumed")
