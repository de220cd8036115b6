"""The driver: an open connection to one provider, made of facets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from providers.base.capabilities import Capabilities
from providers.base.config import Config
from providers.base.facets.buckets import Buckets
from providers.base.facets.clones import Clones
from providers.base.facets.consoles import Consoles
from providers.base.facets.disks import Disks
from providers.base.facets.dns import Dns
from providers.base.facets.events import Events
from providers.base.facets.firewalls import Firewalls
from providers.base.facets.flavors import Flavors
from providers.base.facets.host import Host
from providers.base.facets.images import Images
from providers.base.facets.load_balancers import LoadBalancers
from providers.base.facets.machines import Machines
from providers.base.facets.metrics import Metrics
from providers.base.facets.migration import Migration
from providers.base.facets.networks import Networks
from providers.base.facets.nics import Nics
from providers.base.facets.pools import Pools
from providers.base.facets.power import Power
from providers.base.facets.reshape import Reshape
from providers.base.facets.snapshots import Snapshots
from providers.base.facets.subnets import Subnets
from providers.base.facets.volumes import Volumes


class Driver(ABC):
    """A connection with parts. A facet that the provider lacks is None, so a caller that forgets to ask fails in mypy.

    Made with the kind's config, connected at once: the constructor raises Unreachable, AuthenticationFailed or
    InvalidRequest. Not thread-safe unless a kind says so; `close()` may be called twice.
    """

    machines: Machines
    power: Power | None = None
    reshape: Reshape | None = None
    disks: Disks | None = None
    nics: Nics | None = None
    snapshots: Snapshots | None = None
    clones: Clones | None = None
    migration: Migration | None = None
    consoles: Consoles | None = None
    pools: Pools | None = None
    volumes: Volumes | None = None
    images: Images | None = None
    flavors: Flavors | None = None
    networks: Networks | None = None
    subnets: Subnets | None = None
    firewalls: Firewalls | None = None
    buckets: Buckets | None = None
    dns: Dns | None = None
    load_balancers: LoadBalancers | None = None
    host: Host | None = None
    metrics: Metrics | None = None
    events: Events | None = None

    @abstractmethod
    def __init__(self, config: Config) -> None: ...

    @abstractmethod
    def probe(self) -> Capabilities:
        """Ask the provider what it can do now; it is also the health check. Raises like any call."""

    def ping(self) -> None:
        """One question that needs an answer, the cheapest there is: its time is the connection's latency. Raises like
        any call; a kind that has nothing cheaper leaves it a probe."""
        self.probe()

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection; never raises."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether the connection still stands, without a round trip where that can be told."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
