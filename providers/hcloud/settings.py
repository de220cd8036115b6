"""Options of a server that exists: firewalls, placement group, backups, protection, floating addresses.

Each is set by an action of its own, so that what fails in the middle leaves the others as they were told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from providers.base import Conflict, NotFound, OptionsRecord, PowerState
from providers.hcloud.api import WORDS, Api, Json
from providers.hcloud.config import HcloudOptions
from providers.hcloud.records import power_of

#: Settled when a server is made.
_FIXED = {
    "public_ipv4": "Whether a VM at Hetzner has public addresses is settled when it is made.",
    "public_ipv6": "Whether a VM at Hetzner has public addresses is settled when it is made.",
    "ssh_keys": "Keys are put into a VM at Hetzner when it is made.",
}
#: Tables of what servers name by its number.
_NAMED = ("firewalls", "floating_ips")


def names_needed(servers: Iterable[Json]) -> Sequence[str]:
    """Tables without which the options of these servers cannot be told."""
    found = list(servers)
    return [table for table in _NAMED if any(_numbers(server, table) for server in found)]


def read_names(api: Api, tables: Iterable[str]) -> dict[str, dict[int, str]]:
    """Numbers and names of each table: a call for fifty of them."""
    return {table: {row["id"]: row["name"] for row in api.pages(table)} for table in tables}


def told(server: Json, names: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """The options as the server has them."""
    group = server["placement_group"]
    return {
        "public_ipv4": bool(server["public_net"]["ipv4"]),
        "public_ipv6": bool(server["public_net"]["ipv6"]),
        "firewalls": _called(server, "firewalls", names),
        "floating_ips": _called(server, "floating_ips", names),
        "placement_group": group["name"] if group else "",
        "backups": server["backup_window"] is not None,
        "protected": server["protection"]["delete"],
    }


def _numbers(server: Json, table: str) -> list[int]:
    listed = server["public_net"].get(table) or []
    return [int(one["id"]) if isinstance(one, dict) else int(one) for one in listed]


def _called(server: Json, table: str, names: Mapping[str, Mapping[int, str]]) -> list[str]:
    known = names.get(table, {})
    return sorted(known.get(number, str(number)) for number in _numbers(server, table))


def record(api: Api, server: Json) -> OptionsRecord:
    """Whatever is changed works at once, so that nothing waits."""
    now = told(server, read_names(api, names_needed([server])))
    return OptionsRecord(live=now, pending=now)


def change(api: Api, server: Json, wanted: HcloudOptions, named: Iterable[str]) -> None:
    """Set those options that are named and differ. Raises Conflict, NotFound."""
    number, before = str(server["id"]), {**HcloudOptions().model_dump(mode="json"), **record(api, server).live}
    after: dict[str, Any] = wanted.model_dump(mode="json")
    differing = [name for name in named if _comparable(after[name]) != _comparable(before[name])]
    for name in differing:
        if name in _FIXED:
            raise Conflict(_FIXED[name])
    if "placement_group" in differing and power_of(server) is not PowerState.STOPPED:
        raise Conflict("Stop the VM first; Hetzner moves it to another host.")
    # What is looked up is looked up before anything is changed.
    steps: list[Callable[[], Json]] = []
    for name in differing:
        steps += _STEPS[name](api, number, before[name], after[name])
    for step in steps:
        answer = step()
        api.settle(*(answer.get("actions") or [answer.get("action")]))


def _comparable(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


# -- the steps ---------------------------------------------------------------------------------------------------------


def _firewalls(api: Api, number: str, before: list[str], after: list[str]) -> list[Callable[[], Json]]:
    here = [{"type": "server", "server": {"id": int(number)}}]
    return [
        partial(api.post, f"/firewalls/{row_called(api, 'firewalls', name)['id']}/actions/{verb}", {key: here})
        for names, verb, key in (
            (_added(before, after), "apply_to_resources", "apply_to"),
            (_added(after, before), "remove_from_resources", "remove_from"),
        )
        for name in names
    ]


def _floating(api: Api, number: str, before: list[str], after: list[str]) -> list[Callable[[], Json]]:
    """An address that another server has is refused: taking it away there is for that server's owner."""
    steps: list[Callable[[], Json]] = []
    for name in _added(before, after):
        row = row_called(api, "floating_ips", name)
        if row["server"] not in (None, int(number)):
            raise Conflict(f"Another VM has the address “{name}”.")
        steps.append(partial(api.post, f"/floating_ips/{row['id']}/actions/assign", {"server": int(number)}))
    gone = [row_called(api, "floating_ips", name)["id"] for name in _added(after, before)]
    return steps + [partial(api.post, f"/floating_ips/{each}/actions/unassign") for each in gone]


def _group(api: Api, number: str, before: str, after: str) -> list[Callable[[], Json]]:
    path = f"/servers/{number}/actions"
    steps: list[Callable[[], Json]] = [partial(api.post, f"{path}/remove_from_placement_group")] if before else []
    if after:
        row = row_called(api, "placement_groups", after)
        steps.append(partial(api.post, f"{path}/add_to_placement_group", {"placement_group": row["id"]}))
    return steps


def _backups(api: Api, number: str, before: bool, after: bool) -> list[Callable[[], Json]]:
    del before
    return [partial(api.post, f"/servers/{number}/actions/{'enable' if after else 'disable'}_backup")]


def _protected(api: Api, number: str, before: bool, after: bool) -> list[Callable[[], Json]]:
    """Hetzner wants both told alike."""
    del before
    return [partial(api.post, f"/servers/{number}/actions/change_protection", {"delete": after, "rebuild": after})]


_STEPS: Mapping[str, Callable[..., list[Callable[[], Json]]]] = {
    "firewalls": _firewalls,
    "floating_ips": _floating,
    "placement_group": _group,
    "backups": _backups,
    "protected": _protected,
}


def _added(before: Sequence[str], after: Sequence[str]) -> list[str]:
    return [name for name in after if name not in before]


def row_called(api: Api, table: str, key: str) -> Json:
    """By its name, or by its number; raises NotFound."""
    found = api.named(table, key)
    if found is None and not key.isdigit():
        raise NotFound(f"There is no {WORDS[table]} “{key}”.")
    return found or api.one(table, key)
