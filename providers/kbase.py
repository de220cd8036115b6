"""The whole contract of a provider in one class of plain methods, over any driver: for scripts and for the edge.

    with kbase.connect("kvm", url="qemu:///system") as k:
        for vm in k.list():
            k.stop(vm["name"], soft=True)

Methods that change something answer {"result": "success"} or {"result": "failure", "reason": "…"}: never a success for
work that was not done, never an exception for what a provider refuses. Methods that read answer plain JSON-safe data; a
thing that is not there is {}, None or []. They raise a ProviderError only when the provider cannot be asked at all
(unreachable, credentials): "no VMs" and "nobody answers" are different news. `docs/kbase.md` has the whole list.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from providers import registry
from providers.kcontract.buckets import Buckets
from providers.kcontract.creation import Creation
from providers.kcontract.dns import Names
from providers.kcontract.firewalls import SecurityGroups
from providers.kcontract.host import HostInfo
from providers.kcontract.images import Images
from providers.kcontract.lifecycle import Lifecycle
from providers.kcontract.load_balancers import LoadBalancers
from providers.kcontract.networks import Networks
from providers.kcontract.nics import Nics
from providers.kcontract.snapshots import Snapshots
from providers.kcontract.storage import Storage
from providers.kcontract.updates import Updates


class Kbase(
    Lifecycle,
    Creation,
    Updates,
    Snapshots,
    Storage,
    Images,
    Nics,
    Networks,
    Buckets,
    SecurityGroups,
    Names,
    LoadBalancers,
    HostInfo,
):
    """All methods of the contract over one open driver; the parts are in `providers/kcontract/`, by heading."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


#: Words for settings that a kind may call otherwise.
_SYNONYMS = {"url": "uri", "uri": "url", "user": "username"}


def connect(kind: str, *, files: Path | None = None, **settings: Any) -> Kbase:
    """Open a provider of that kind with its settings, as they are called on its page of the docs.

    `files` is the folder below which `create` may read local files. Raises what connecting raises: UnknownKind,
    InvalidRequest for wrong settings, Unreachable, AuthenticationFailed.
    """
    plugin = registry.plugin(kind)
    fields = plugin.config.model_fields
    own = {key if key in fields else _SYNONYMS.get(key, key): value for key, value in settings.items()}
    return Kbase(plugin.open(plugin.config.read(own)), plugin, files=files)
