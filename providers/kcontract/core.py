"""What all parts of the contract stand on: the open driver, looking things up by name, and the shape of answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from providers.base import (
    Cancelled,
    Capabilities,
    Driver,
    InvalidRequest,
    NetworkRecord,
    NotFound,
    NotSupported,
    Plugin,
    PoolRecord,
    ProviderError,
    VmRecord,
)

#: {"result": "success", …} or {"result": "failure", "reason": "…"}.
Result = dict[str, Any]
Info = dict[str, Any]

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
N = TypeVar("N", bound="Named")


class Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def external_id(self) -> str: ...


def failure(reason: str) -> Result:
    return {"result": "failure", "reason": reason}


def changes(method: Callable[P, Result | None]) -> Callable[P, Result]:
    """Make a method answer with a result: what it returns is added to a success, a ProviderError is a failure."""

    @wraps(method)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            extra = method(*args, **kwargs)
        except ProviderError as exc:
            return failure(exc.reason)
        except Cancelled:
            return failure("It was cancelled.")
        return {"result": "success", **(extra or {})}

    return answer


def spec_of(model: type[M], /, **values: Any) -> M:
    """A spec from loose values; raises InvalidRequest with the first thing that does not fit."""
    return checked(model, lambda: model.model_validate(values))


def checked(model: type[M], make: Callable[[], M]) -> M:
    """What `make` answers; raises InvalidRequest with the first thing that does not fit the model."""
    try:
        return make()
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{where or model.__name__}: {first['msg']}.", field=where) from None


def refuse_extras(what: str, values: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise NotSupported for the first value that is set and that nobody here honours."""
    for key, value in values.items():
        if key not in known and value not in (None, False, "", [], (), {}):
            raise NotSupported(f"{what}: “{key}” cannot be honoured by this provider.", field=key)


def whole_number(value: Any, what: str) -> int:
    """An int from 10 or "10"; raises InvalidRequest. True is no number here."""
    if isinstance(value, bool):
        raise InvalidRequest(f"{what} must be a whole number, not {value!r}.")
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InvalidRequest(f"{what} must be a whole number, not {value!r}.") from None


class Core:
    """An open driver with the kind's manifest.

    `conn` is the driver while it is open and None afterwards, the one sign of health that callers of this contract ask.
    """

    def __init__(self, driver: Driver, plugin: Plugin | None = None, *, files: Path | None = None) -> None:
        self.driver = driver
        self.plugin = plugin
        #: Folder from which `files` of a VM may be read by `origin`; None: contents must be given.
        self.files = files
        self.debug = False
        self._can: Capabilities | None = None

    @property
    def conn(self) -> Driver | None:
        return self.driver if self.driver.is_alive else None

    @property
    def can(self) -> Capabilities:
        """What the provider can do; asked once."""
        if self._can is None:
            self._can = self.driver.probe()
        return self._can

    # -- facets and names -------------------------------------------------------------------------------------------

    def facet(self, facet: T | None, what: str) -> T:
        """The facet, or NotSupported with a sentence."""
        if facet is None:
            raise NotSupported(f"This provider has no {what}.")
        return facet

    def vm(self, name: str) -> VmRecord:
        """One VM by its name; raises NotFound."""
        return self.driver.machines.find(name)

    def vm_or_none(self, name: str) -> VmRecord | None:
        try:
            return self.vm(name)
        except NotFound:
            return None

    def network_id(self, name: str) -> str:
        """external_id of a network by its name; the id itself is understood too."""
        networks = self.facet(self.driver.networks, "networks")
        return called(networks.list(), name, "network").external_id

    def pool_id(self, name: str | None) -> str:
        """external_id of a pool by its name; empty for the provider's default.

        "default" means the provider's default where no pool is called so.
        """
        if not name or self.driver.pools is None:
            return ""
        pools = self.driver.pools.list()
        if name == "default" and not any(pool.name == name for pool in pools):
            return ""
        return called(pools, name, "storage pool").external_id

    def image_id(self, name: str) -> str:
        images = self.facet(self.driver.images, "images")
        return called(images.list(), name, "image").external_id

    def network_names(self) -> dict[str, NetworkRecord]:
        """All networks by their external_id; empty where there are none to ask for."""
        networks = self.driver.networks.list() if self.driver.networks is not None else ()
        return {network.external_id: network for network in networks}

    def pools_by_id(self) -> dict[str, PoolRecord]:
        pools = self.driver.pools.list() if self.driver.pools is not None else ()
        return {pool.external_id: pool for pool in pools}

    def close(self) -> None:
        """Let go of the connection; may be called twice."""
        self.driver.close()


def called(items: Iterable[N], name: str, noun: str) -> N:
    """The item of that name, or else of that external_id; raises NotFound, or InvalidRequest for an ambiguous name."""
    known = list(items)
    same = [item for item in known if item.name == name]
    if len(same) > 1:
        raise InvalidRequest(f"There are {len(same)} objects ({noun}) called “{name}”; use the id.")
    for item in same or [item for item in known if item.external_id == name]:
        return item
    raise NotFound(f"There is no {noun} called “{name}”.")
