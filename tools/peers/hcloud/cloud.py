"""The state of the simulated cloud: tables of resources as the API shows them, and actions that finish with time."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tools.peers.hcloud import catalogue
from tools.peers.hcloud.catalogue import Json

LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?", re.ASCII
)
LABEL_VALUE = re.compile(r"([a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)?", re.ASCII)
HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*",
    re.ASCII,
)


class Refusal(Exception):
    """An error answer of the API: its HTTP status, its code and its text."""

    def __init__(self, status: int, code: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


def invalid(field_name: str, message: str) -> Refusal:
    details = {"fields": [{"name": field_name, "messages": [message]}]}
    return Refusal(422, "invalid_input", f"invalid input in field '{field_name}'", details)


@dataclass
class Fault:
    """Something that goes wrong on demand: for requests that fit, as often as told (−1: until it is cleared)."""

    kind: str
    """ "rate_limited", "auth", "readonly", "unknown", "cut", "lost" (done, but the answer does not arrive),
    "slow", "unavailable", or an error code of the API."""
    method: str = ""
    path: str = ""
    """A regular expression that the path must match, empty for all."""
    times: int = -1
    after: int = 0
    """How many that fit go well first."""
    seconds: float = 0.0

    def fits(self, method: str, path: str) -> bool:
        if (self.method and self.method != method) or (self.path and not re.search(self.path, path)):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times == 0:
            return False
        self.times -= 1 if self.times > 0 else 0
        return True


@dataclass
class Pending:
    due: float
    began: float
    action: Json
    finish: Callable[[], None]
    error: str = ""


@dataclass
class Cloud:
    """All that one simulated project holds. Every access happens under `lock`, from whichever thread."""

    token: str = "t" * 64
    action_s: float = 0.0
    slow: dict[str, float] = field(default_factory=dict)
    """Seconds by command where they differ: {"create_server": 2}."""
    failing: dict[str, int] = field(default_factory=dict)
    """How many of the next actions with this command end as errors."""
    limits: dict[str, int] = field(default_factory=dict)
    """The most of each resource: {"servers": 5}."""
    sold_out: set[str] = field(default_factory=set)
    """Locations without room."""
    deaf: set[int] = field(default_factory=set)
    """Servers that do not listen to a shutdown request; 0 stands for all."""
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    tables: dict[str, dict[int, Json]] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request."""
    user_data: dict[int, str] = field(default_factory=dict)
    disks: dict[int, str] = field(default_factory=dict)
    """What guests wrote on servers' local disks and on images, by id: for tests."""
    consoles: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Token → server and password."""
    running_since: dict[int, float] = field(default_factory=dict)
    _last_id: int = 4_000_000

    def __post_init__(self) -> None:
        places = catalogue.locations()
        for name, rows in (
            ("locations", places),
            ("server_types", catalogue.server_types(places)),
            ("images", catalogue.images()),
            ("isos", catalogue.isos()),
            ("load_balancer_types", catalogue.load_balancer_types(places)),
        ):
            self.tables[name] = {row["id"]: row for row in rows}
        for name in (
            "servers", "volumes", "networks", "firewalls", "ssh_keys", "load_balancers", "zones", "actions",
            "primary_ips", "placement_groups", "floating_ips",
        ):  # fmt: skip
            self.tables[name] = {}

    # -- rows -------------------------------------------------------------------------------------------------------

    def fresh_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def row(self, table: str, number: int | str) -> Json:
        found = self.tables[table].get(int(number)) if str(number).isdigit() else None
        if found is None:
            raise Refusal(404, "not_found", f"{table.rstrip('s')} with ID '{number}' not found")
        return found

    def named(self, table: str, key: str | int, field_name: str = "") -> Json:
        """By id or name, as bodies may say either; an unknown one is invalid input."""
        for row in self.tables[table].values():
            if str(row["id"]) == str(key) or row.get("name") == key:
                return row
        raise invalid(field_name or table, f"{table} '{key}' not found")

    def add(self, table: str, row: Json) -> Json:
        most = self.limits.get(table)
        if most is not None and len(self.tables[table]) >= most:
            raise Refusal(403, "resource_limit_exceeded", f"{table} limit exceeded")
        name = row.get("name")
        if name and any(other.get("name") == name for other in self.tables[table].values()):
            raise Refusal(409, "uniqueness_error", f"{table.rstrip('s')} name is already used")
        check_labels(row.get("labels") or {})
        row["id"] = self.fresh_id()
        self.tables[table][row["id"]] = row
        return row

    # -- actions ----------------------------------------------------------------------------------------------------

    def act(
        self,
        command: str,
        resources: Iterable[tuple[str, int]],
        finish: Callable[[], None] = lambda: None,
        *,
        after: float = 0.0,
    ) -> Json:
        """A new action; `finish` makes its effect when its time has come."""
        seconds = self.slow.get(command, self.action_s)
        now = time.monotonic()
        action: Json = {
            "id": self.fresh_id(),
            "command": command,
            "status": "running",
            "progress": 0,
            "started": stamp(),
            "finished": None,
            "resources": [{"id": number, "type": kind} for kind, number in resources],
            "error": None,
        }
        error = ""
        if self.failing.get(command, 0):
            self.failing[command] -= 1
            error = "action_failed"
        self.tables["actions"][action["id"]] = action
        self.pending.append(Pending(now + seconds + after, now, action, finish, error))
        return action

    def advance(self) -> None:
        """Let happen what is due: called before every request is looked at."""
        now = time.monotonic()
        due = sorted((one for one in self.pending if one.due <= now), key=lambda one: one.due)
        for one in due:
            self.pending.remove(one)
            one.action |= {"progress": 100, "finished": stamp(), "status": "success"}
            if one.error:
                one.action |= {"status": "error", "error": {"code": one.error, "message": "Action failed"}}
            else:
                one.finish()
            self._unlock(one.action)
        for one in self.pending:
            one.action["progress"] = min(99, int(100 * (now - one.began) / max(one.due - one.began, 0.001)))

    def _unlock(self, action: Json) -> None:
        for resource in action["resources"]:
            server = self.tables["servers"].get(resource["id"]) if resource["type"] == "server" else None
            if server is not None:
                server["locked"] = any(
                    other["id"] == server["id"] for one in self.pending for other in one.action["resources"]
                )


def stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_labels(labels: Json) -> None:
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key) or not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
            raise invalid("labels", f"label '{key}' is not valid")


def selects(selector: str, labels: Json) -> bool:
    """Whether labels fit a selector: `k`, `!k`, `k=v`, `k==v`, `k!=v`, joined by commas."""
    for part in filter(None, (one.strip() for one in selector.split(","))):
        if "!=" in part:
            key, _, value = part.partition("!=")
            fits = labels.get(key) != value
        elif "=" in part:
            key, _, value = part.replace("==", "=").partition("=")
            fits = labels.get(key) == value
        else:
            fits = (part.lstrip("!") in labels) is not part.startswith("!")
        if not fits:
            return False
    return True
