"""Power of VMs at AWS. Every operation waits until AWS has done it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.aws import inventory
from providers.aws.cloud import Part
from providers.aws.lifecycle import in_state
from providers.aws.records import state_of
from providers.base import QUIET, Conflict, NotSupported, Power, Progress, TimedOut, VmRecord

START_S, STOP_S = 600.0, 600.0


class AwsPower(Part, Power):
    def start(self, external_id: str, progress: Progress = QUIET) -> VmRecord:
        told = self._settled(external_id, progress)
        if state_of(told) != "running":
            self.cloud.ec2("start_instances", InstanceIds=[external_id])
            told = self._wait_for_start(external_id, progress)
        return inventory.vm(self.cloud, external_id, told)

    def stop(
        self, external_id: str, *, force: bool = False, timeout_s: float = 60.0, progress: Progress = QUIET
    ) -> VmRecord:
        told = self._settled(external_id, progress)
        if state_of(told) == "stopped":
            return inventory.vm(self.cloud, external_id, told)
        self.cloud.ec2("stop_instances", InstanceIds=[external_id], Force=force)
        try:
            told = in_state(
                self.cloud, external_id, "stopped", timeout_s=STOP_S if force else timeout_s, progress=progress
            )
        except TimedOut:
            if force:
                raise
            progress.report(50, "The guest does not listen; pulling the plug.")
            self.cloud.ec2("stop_instances", InstanceIds=[external_id], Force=True)
            told = in_state(self.cloud, external_id, "stopped", timeout_s=STOP_S, progress=progress)
        return inventory.vm(self.cloud, external_id, told)

    def restart(self, external_id: str, *, force: bool = False, progress: Progress = QUIET) -> VmRecord:
        """The guest reboots; when it does not within four minutes, AWS resets it."""
        told = inventory.instance(self.cloud, external_id)
        if state_of(told) != "running":
            raise Conflict("Only a running VM can be restarted.")
        if force:
            raise NotSupported("AWS resets a guest by itself when it does not reboot within four minutes.")
        self.cloud.ec2("reboot_instances", InstanceIds=[external_id])
        progress.report(100, "It reboots.")
        return inventory.vm(self.cloud, external_id)

    def pause(self, external_id: str) -> VmRecord:
        raise NotSupported("AWS cannot pause a VM.")

    def resume(self, external_id: str) -> VmRecord:
        raise NotSupported("AWS cannot pause a VM.")

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _settled(self, external_id: str, progress: Progress) -> Mapping[str, Any]:
        """The VM once it is neither starting nor stopping: AWS refuses both in between."""
        told = inventory.instance(self.cloud, external_id)
        if state_of(told) == "stopping":
            return in_state(self.cloud, external_id, "stopped", timeout_s=STOP_S, progress=progress)
        if state_of(told) == "pending":
            return in_state(self.cloud, external_id, "running", timeout_s=START_S, progress=progress)
        if state_of(told) == "shutting-down":
            raise Conflict("The VM is being deleted.")
        return told

    def _wait_for_start(self, external_id: str, progress: Progress) -> Mapping[str, Any]:
        return in_state(self.cloud, external_id, "running", timeout_s=START_S, progress=progress)
