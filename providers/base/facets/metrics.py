"""What VMs and their host are using: counters, read for all of them at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import HostSample, VmSample


class Metrics(ABC):
    """Readings only: no rates and no memory of what was read before. Whoever asks twice makes rates of the difference.

    Both cost the same few vendor calls however many VMs there are, and neither waits for a single VM that is stuck:
    what it does not tell at once is None.
    """

    @abstractmethod
    def sample(self) -> Sequence[VmSample]:
        """One reading for each VM that is switched on; a VM that is off is not among them."""

    @abstractmethod
    def host_sample(self) -> HostSample:
        """One reading of the host; raises NotSupported where `MetricsFeatures.host` was not probed."""
