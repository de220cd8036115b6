"""From one state to another: waiting for it, and saying why it did not come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.aws.cloud import Cloud
from providers.aws.errors import state_reason
from providers.aws.inventory import raw_instance
from providers.aws.records import state_of
from providers.aws.waiting import wait_for
from providers.base import QUIET, NotFound, Progress

#: States from which the wanted one cannot come any more by itself.
_LOST = {
    "running": frozenset({"stopped", "terminated", "shutting-down"}),
    "stopped": frozenset({"running", "terminated", "shutting-down"}),
}
#: EC2 may not know for some seconds what it has just made.
_UNKNOWN_LOOKS = 12


def in_state(
    cloud: Cloud, external_id: str, state: str, *, timeout_s: float, progress: Progress = QUIET
) -> Mapping[str, Any]:
    """Wait until the VM is in this state; raises what AWS says why it is not, NotFound when it went away."""
    unknown = 0

    def look() -> Mapping[str, Any] | None:
        nonlocal unknown
        found = raw_instance(cloud, external_id)
        if found is None:
            unknown += 1
            if unknown > _UNKNOWN_LOOKS:
                raise NotFound("The VM does not exist any more.")
            return None
        now = state_of(found)
        if now == state:
            return found
        if now in _LOST.get(state, ()):
            reason = found.get("StateReason", {})
            if now == "running":
                # Asked to stop and running: somebody started it again.
                return found
            raise state_reason(str(reason.get("Code", "")), str(reason.get("Message", "")))
        return None

    return wait_for(look, f"Getting the VM to be {state}", timeout_s=timeout_s, progress=progress)


def gone(cloud: Cloud, external_id: str, *, timeout_s: float, progress: Progress = QUIET) -> None:
    """Wait until it is terminated; its disks are free or deleted then."""

    def look() -> bool | None:
        found = raw_instance(cloud, external_id)
        return True if found is None or state_of(found) == "terminated" else None

    wait_for(look, "Deleting the VM", timeout_s=timeout_s, progress=progress)
