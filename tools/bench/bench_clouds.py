"""Listing a thousand VMs of each cloud: time beside kcli's provider for the same peer, vendor calls, memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

from tools.bench.cloud_aws import aws
from tools.bench.cloud_hcloud import hcloud
from tools.bench.cloud_openstack import openstack
from tools.bench.cloud_vsphere import vsphere
from tools.bench.clouds import Cloud, Room, seconds_of_kcli
from tools.bench.harness import Skip, bench, measure

VMS = 1000

#: Each kind's peer, and how its time should compare with kcli's.
KINDS: Mapping[str, tuple[Cloud, str | None]] = {
    "aws": (aws, "<= 0.1 x"),
    "hcloud": (hcloud, None),
    "openstack": (openstack, None),
    "vsphere": (vsphere, "<= 0.1 x"),
}


@bench
def lists_of_clouds() -> None:
    for kind, (cloud, goal) in KINDS.items():
        try:
            with cloud(VMS) as room:
                _measure(kind, room, goal)
        except Skip as exc:
            print(f"  {kind} is left out: {exc}")


def _measure(kind: str, room: Room, goal: str | None) -> None:
    machines = room.driver.machines
    if len(machines.list()) < VMS:
        raise AssertionError(f"{kind} does not list all of its VMs.")
    kcli = seconds_of_kcli(room)
    measure(
        f"{kind}: list {VMS} VMs",
        "ms",
        lambda: _listed(room),
        baseline=None if kcli is None else kcli * 1000,
        baseline_name="kcli",
        goal=goal if kcli is not None else None,
    )
    before = room.calls()
    machines.list()
    spent = room.calls() - before
    measure(f"{kind}: vendor calls of that list", "calls", lambda: float(spent))
    measure(f"{kind}: memory of that list", "MiB", lambda: _memory_mib(room))


def _listed(room: Room) -> None:
    room.driver.machines.list()


def _memory_mib(room: Room) -> float:
    """The most that Python's objects took at once."""
    tracemalloc.start()
    try:
        room.driver.machines.list()
        return tracemalloc.get_traced_memory()[1] / 1024**2
    finally:
        tracemalloc.stop()
