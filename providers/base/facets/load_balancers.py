"""Load balancers in front of VMs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.progress import QUIET, Progress
from providers.base.records import LoadBalancerRecord
from providers.base.specs import LoadBalancerSpec


class LoadBalancers(ABC):
    @abstractmethod
    def list(self) -> Sequence[LoadBalancerRecord]: ...

    @abstractmethod
    def create(self, spec: LoadBalancerSpec, progress: Progress = QUIET) -> LoadBalancerRecord: ...

    @abstractmethod
    def delete(self, external_id: str) -> None: ...
