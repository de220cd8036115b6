"""Power of servers."""

from __future__ import annotations

import time

from providers.base import QUIET, Conflict, NotSupported, Power, PowerState, Progress, VmRecord
from providers.hcloud.part import Part
from providers.hcloud.records import power_of


class HcloudPower(Part, Power):
    def start(self, external_id: str, progress: Progress = QUIET) -> VmRecord:
        if power_of(self.server(external_id)) is not PowerState.RUNNING:
            self._act(external_id, "poweron", "Starting the VM.", progress)
        return self.record(external_id)

    def stop(
        self, external_id: str, *, force: bool = False, timeout_s: float = 60.0, progress: Progress = QUIET
    ) -> VmRecord:
        """A shutdown is a press of the power button: the action is over when the guest was told."""
        if power_of(self.server(external_id)) is PowerState.STOPPED:
            return self.record(external_id)
        if not force:
            self._act(external_id, "shutdown", "Asking the guest to shut down.", progress)
            if self._is_off_within(external_id, timeout_s, progress):
                return self.record(external_id)
        self._act(external_id, "poweroff", "Switching the VM off.", progress)
        return self.record(external_id)

    def restart(self, external_id: str, *, force: bool = False, progress: Progress = QUIET) -> VmRecord:
        if power_of(self.server(external_id)) is PowerState.STOPPED:
            raise Conflict("The VM does not run.")
        self._act(external_id, "reset" if force else "reboot", "Restarting the VM.", progress)
        return self.record(external_id)

    def pause(self, external_id: str) -> VmRecord:
        raise NotSupported("Hetzner Cloud cannot pause VMs.")

    def resume(self, external_id: str) -> VmRecord:
        raise NotSupported("Hetzner Cloud cannot pause VMs.")

    def _act(self, external_id: str, action: str, sentence: str, progress: Progress) -> None:
        answer = self.api.post(f"/servers/{external_id}/actions/{action}")
        self.api.settle(answer["action"], progress=progress, sentence=sentence, percent=(10, 90))

    def _is_off_within(self, external_id: str, timeout_s: float, progress: Progress) -> bool:
        end = time.monotonic() + timeout_s
        while power_of(self.server(external_id)) is not PowerState.STOPPED:
            progress.checkpoint()
            if time.monotonic() >= end:
                return False
            time.sleep(min(self.api.config.poll_s * 2, max(end - time.monotonic(), 0.01)))
        return True
