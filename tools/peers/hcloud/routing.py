"""From method and path to the function that answers; and what list, read, update and delete have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tools.peers.hcloud.catalogue import Json
from tools.peers.hcloud.cloud import Cloud, Refusal, check_labels, invalid, selects


@dataclass
class Call:
    """One request: the parts of its path in braces, its parameters, its body."""

    cloud: Cloud
    ids: tuple[str, ...] = ()
    params: dict[str, list[str]] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    origin: str = ""
    """Address of this server as the client sees it, for the console's address."""

    def first(self, name: str, default: str = "") -> str:
        return self.params.get(name, [default])[0]


Answer = tuple[int, Json]
Handler = Callable[[Call], Answer]
_routes: list[tuple[str, re.Pattern[str], str, Handler]] = []


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a handler; `path` as in the API's documentation: /servers/{id}."""
    pattern = re.compile(re.sub(r"\{[a-z_]+\}", r"([^/]+)", path) + "$")

    def register(handler: Handler) -> Handler:
        _routes.append((method, pattern, path, handler))
        return handler

    return register


def find(method: str, path: str) -> tuple[Handler, tuple[str, ...], str]:
    """The handler with the most exact path; raises Refusal."""
    fitting = [
        (len(match.groups()), handler, match.groups(), told)
        for known, pattern, told, handler in _routes
        if known == method and (match := pattern.match(path))
    ]
    if not fitting:
        raise Refusal(404, "not_found", f"{method} {path} not found")
    _, handler, ids, told = min(fitting, key=lambda one: one[0])
    return handler, ids, told


def paged(call: Call, key: str, rows: Iterable[Json]) -> Answer:
    """One page of rows with the API's `meta`; the last page's `next_page` is null."""
    everything = list(rows)
    page, size = int(call.first("page", "1")), int(call.first("per_page", "25"))
    if not 1 <= size <= 50:
        raise invalid("per_page", "must be between 1 and 50")
    last = max(1, -(-len(everything) // size))
    pagination = {
        "page": page,
        "per_page": size,
        "previous_page": page - 1 if page > 1 else None,
        "next_page": page + 1 if page < last else None,
        "last_page": last,
        "total_entries": len(everything),
    }
    return 200, {key: everything[(page - 1) * size : page * size], "meta": {"pagination": pagination}}


def filtered(call: Call, table: str) -> list[Json]:
    """Rows of a table as the parameters name, label_selector and those named like fields choose them."""
    rows = list(call.cloud.tables[table].values())
    for name in ("name", "status", "type", "architecture"):
        if wanted := call.params.get(name):
            rows = [row for row in rows if row.get(name) in wanted]
    if wanted := call.params.get("id"):
        rows = [row for row in rows if str(row["id"]) in wanted]
    if selector := call.first("label_selector"):
        rows = [row for row in rows if selects(selector, row.get("labels") or {})]
    return rows


def readable(table: str, key: str) -> None:
    """GET of the list and of one."""
    route("GET", f"/{table}")(lambda call: paged(call, table, filtered(call, table)))
    route("GET", f"/{table}/{{id}}")(lambda call: (200, {key: call.cloud.row(table, call.ids[0])}))


def changeable(table: str, key: str, names: tuple[str, ...] = ("name", "labels")) -> None:
    """PUT of one: name and labels."""

    def change(call: Call) -> Answer:
        row = call.cloud.row(table, call.ids[0])
        name = call.body.get("name")
        if name and any(other.get("name") == name and other is not row for other in call.cloud.tables[table].values()):
            raise Refusal(409, "uniqueness_error", f"{key} name is already used")
        check_labels(call.body.get("labels") or {})
        row |= {field_name: call.body[field_name] for field_name in names if field_name in call.body}
        return 200, {key: row}

    route("PUT", f"/{table}/{{id}}")(change)


for _table, _key in (
    ("locations", "location"),
    ("server_types", "server_type"),
    ("isos", "iso"),
    ("load_balancer_types", "load_balancer_type"),
    ("actions", "action"),
    ("primary_ips", "primary_ip"),
    ("placement_groups", "placement_group"),
):
    readable(_table, _key)
