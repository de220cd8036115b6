"""What a simulated cloud holds, how slow it is and what goes wrong in it. Objects are dicts, as services tell them."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


class Refused(Exception):
    """An answer with an error status; `body` has the form of the service that gives it."""

    def __init__(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body, self.headers = status, body, headers or {}


def nova(status: int, message: str) -> Refused:
    """As Nova and Cinder say it."""
    word = {400: "badRequest", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest", 413: "overLimit"}
    return Refused(status, {word.get(status, "computeFault"): {"code": status, "message": message}})


def neutron(status: int, kind: str, message: str) -> Refused:
    return Refused(status, {"NeutronError": {"type": kind, "message": message, "detail": ""}})


@dataclass
class Fault:
    """What happens to calls whose method and path begin so: "POST /compute/servers"."""

    where: str
    kind: str
    """ "cut", "slow", or a status."""
    after: int = 0
    """How many such calls go well first."""


@dataclass
class Cloud:
    password: str = "right"  # noqa: S105 - of a simulated cloud
    delay_s: float = 0.0
    """How long servers and volumes take to become what was asked for."""
    page: int = 1000
    quota: dict[str, int] = field(default_factory=lambda: {"instances": 2000, "volumes": 4000, "networks": 200})
    absent: frozenset[str] = frozenset()
    """Services that are not in the catalogue, by their type."""
    zones: tuple[str, ...] = ("nova", "cellar")
    host_is_full: bool = False
    console_url: str = ""
    """Where screens are, in place of an address where nobody answers; it knows the token `console_token`."""
    console_token: str = ""
    calls: int = 0
    faults: list[Fault] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    kinds: dict[str, dict[str, Json]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    project_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _ticks: itertools.count[int] = field(default_factory=itertools.count)

    def of(self, kind: str) -> dict[str, Json]:
        """All objects of a kind, settled: what was due has happened."""
        objects = self.kinds.setdefault(kind, {})
        for item in list(objects.values()):
            self.settle(item)
        return objects

    def new(self, kind: str, item: Json, *, dashed: bool = True) -> Json:
        made = uuid.uuid4()
        item.setdefault("id", str(made) if dashed else made.hex)
        # Times of creation have seconds only; what comes later must be told apart where it matters.
        item["_tick"] = next(self._ticks)
        self.kinds.setdefault(kind, {})[item["id"]] = item
        return item

    def later(self, item: Json, change: Callable[[], object]) -> None:
        """Let something happen to an object when its time has come."""
        item.setdefault("_due", []).append((time.monotonic() + self.delay_s, change))
        self.settle(item)

    @staticmethod
    def settle(item: Json) -> None:
        due = item.get("_due", [])
        while due and due[0][0] <= time.monotonic():
            due.pop(0)[1]()

    def check_quota(self, kind: str, in_use: int, refusal: Refused) -> None:
        if in_use >= self.quota.get(kind, 10**9):
            raise refusal


def shown(item: Json) -> Json:
    """Without what only the simulator knows."""
    return {key: value for key, value in item.items() if not key.startswith("_")}


def now(*, zulu: bool = True) -> str:
    text = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}Z" if zulu else f"{text}.000000"
