"""A machine's snapshots as a tree in lines, as a page draws it. What is told may lack parents or go in circles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from vms.models import VirtualMachine

#: What stands before a name: a line that goes on below, nothing, a branch, or the last branch.
Rail = Literal["line", "gap", "tee", "end"]
#: What branches off deeper is drawn at this depth: nobody reads a page that is wider than the screen.
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Twig:
    """One line of the tree: a snapshot, or (None) the machine as it is now."""

    snapshot: dict[str, Any] | None
    rails: tuple[Rail, ...]
    #: The line above, in the same column, is what it follows; something below follows it.
    follows: bool
    leads: bool


def snapshots_of(vm: VirtualMachine) -> list[dict[str, Any]]:
    """Newest first, with times as times."""
    found = [
        {
            **shot,
            "created_at": datetime.fromisoformat(shot["created_at"]) if shot.get("created_at") else None,
            "size_mib": (shot.get("size_bytes") or 0) / 1024**2,
        }
        for shot in vm.snapshots or []
    ]
    return sorted(found, key=lambda shot: str(shot["created_at"] or ""), reverse=True)


def _age(snapshot: dict[str, Any]) -> tuple[bool, str, str]:
    taken = snapshot.get("created_at")
    return (taken is not None, taken.isoformat() if taken else "", snapshot["name"])


def tree(snapshots: list[dict[str, Any]]) -> list[Twig]:
    """Parents before children, older before newer, the present state after the snapshot that it follows.

    What alone follows a snapshot stands below it; only where ways part is it indented.
    """
    names = {one["name"] for one in snapshots}
    below: dict[str | None, list[dict[str, Any] | None]] = {}
    for one in sorted(snapshots, key=_age):
        parent = one.get("parent")
        below.setdefault(parent if parent in names and parent != one["name"] else None, []).append(one)
    current = next((one["name"] for one in snapshots if one.get("is_current")), None)
    if current is not None:
        below.setdefault(current, []).insert(0, None)
    twigs = list(_walk(below))
    drawn = {twig.snapshot["name"] for twig in twigs if twig.snapshot}
    # What is left goes in a circle: each stands for itself.
    twigs.extend(Twig(one, (), False, False) for one in snapshots if one["name"] not in drawn)
    return twigs


def _walk(below: dict[str | None, list[dict[str, Any] | None]]) -> Iterator[Twig]:
    """Depth first and without recursion: chains of a thousand snapshots exist."""
    waiting: list[tuple[dict[str, Any] | None, tuple[Rail, ...], tuple[Rail, ...], bool]] = [
        (one, (), (), False) for one in reversed(below.get(None, []))
    ]
    while waiting:
        one, rails, deeper, follows = waiting.pop()
        after = below.get(one["name"], []) if one else []
        yield Twig(one, rails[-DEEPEST:], follows, bool(after))
        if len(after) == 1:
            waiting.append((after[0], deeper, deeper, True))
            continue
        for place, child in reversed(list(enumerate(after))):
            is_last = place == len(after) - 1
            waiting.append(
                (child, (*deeper, "end" if is_last else "tee"), (*deeper, "gap" if is_last else "line"), False)
            )
