"""Power: start, stop, restart, pause, resume. Each returns the VM as it is afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.progress import QUIET, Progress
from providers.base.records import VmRecord


class Power(ABC):
    @abstractmethod
    def start(self, external_id: str, progress: Progress = QUIET) -> VmRecord:
        """Start it; a running VM is fine and stays as it is. Raises NotFound, OutOfCapacity."""

    @abstractmethod
    def stop(
        self, external_id: str, *, force: bool = False, timeout_s: float = 60.0, progress: Progress = QUIET
    ) -> VmRecord:
        """Ask the guest to shut down and wait; after `timeout_s`, or at once with `force`, pull the plug.

        A stopped VM is fine and stays as it is.
        """

    @abstractmethod
    def restart(self, external_id: str, *, force: bool = False, progress: Progress = QUIET) -> VmRecord:
        """Reboot through the guest, or reset with `force`.

        Raises Conflict when it does not run, and where a guest that does not listen can be told from one that restarts.
        """

    @abstractmethod
    def pause(self, external_id: str) -> VmRecord:
        """Freeze the vCPUs; raises Conflict unless it runs, NotSupported where the features say so."""

    @abstractmethod
    def resume(self, external_id: str) -> VmRecord:
        """Go on after a pause; raises Conflict unless it is paused."""
