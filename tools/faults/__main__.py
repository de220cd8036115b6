"""`python -m tools.faults`: plays the rounds and writes what came of them."""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import libvirt

from tools.bench.django_home import django_here
from tools.reaper import with_orphans_taken_in

django_here()

from tools.faults.counts import Counts, Tally  # noqa: E402
from tools.faults.network_work import NetworkChange, NetworkCreate, NetworkDelete  # noqa: E402
from tools.faults.room import IMAGE_MIB, Room  # noqa: E402 - needs Django
from tools.faults.rounds import measure, play  # noqa: E402
from tools.faults.work import OPERATIONS, Operation  # noqa: E402

EVERY: dict[str, type[Operation]] = {
    **OPERATIONS,
    "make-network": NetworkCreate,
    "change-network": NetworkChange,
    "delete-network": NetworkDelete,
}
#: One word for several.
TOGETHER = {"network": ("make-network", "change-network", "delete-network")}
#: Rounds of one operation before the next one has its turn, so that a run that is cut off has some of each.
_TURN = 5
#: An operation with so many faults is not played any more: they would be the same ones.
_WRONG_MOST = 20

_HEAD = """# When a worker dies

A worker can be killed at any moment: by the machine's memory, by an update, by a person. Then its job ends as failed,
what was half made is taken away, and what was changed is read anew; trying again works. This page is what
`python -m tools.faults` found when it was last run: each operation begins in a worker process that is ended with
SIGKILL at a random moment of it. After each round no file in any pool is without an owner, every disk passes
`qemu-img check` and holds what it held, every machine has one row, a job that says it is done has done it, and a
second try succeeds.

Last run on {day}, {where}: two private daemons (networks: the machine's own), a disk of {mib}
MiB of random bytes.
`python -m tools.faults 100 --minutes 60 --report docs/faults.md` goes on until each was killed a hundred times, or the
hour is over; what came of it is added to `var/faults.json`, and `--afresh` begins at nothing.

| operation | takes | killed | was quicker | done all the same | wrong |
|---|---:|---:|---:|---:|---:|"""

_FOOT = """
“Was quicker”: the signal came after the job's end. “Done all the same”: the worker died, and what it had asked the
hypervisor for happened nevertheless; the portal finds it and takes it over.
"""


def main() -> int:
    chosen = _arguments()
    # Whoever ends this ends the daemons too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    counts = Counts(afresh=chosen.afresh)
    keys = list(dict.fromkeys(key for word in chosen.operations or EVERY for key in TOGETHER.get(word, (word,))))
    end = time.monotonic() + chosen.minutes * 60 if chosen.minutes else float("inf")
    with Room().opened() as room:
        operations: dict[str, Operation] = {}
        try:
            while todo := [key for key in keys if not _is_enough(counts.of(key, EVERY[key].name), chosen.kills)]:
                for key in todo:
                    if time.monotonic() > end:
                        return _told(counts, keys, chosen.report)
                    if key not in operations:
                        operations[key] = EVERY[key](room)
                        measure(room, operations[key], counts.of(key, EVERY[key].name))
                    _turn(room, operations[key], counts, key, chosen.kills, end)
                    _told(counts, keys, chosen.report)
        finally:
            for operation in operations.values():
                operation.clear_away()
    return _told(counts, keys, chosen.report)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.faults")
    parser.add_argument("kills", type=int, help="how often each operation's worker is killed, earlier runs included")
    parser.add_argument("operations", nargs="*", choices=[[], *EVERY, *TOGETHER], help="only these")
    parser.add_argument("--report", type=Path, help="write the report there, after each turn")
    parser.add_argument("--minutes", type=float, default=0.0, help="end after so long, however far it is")
    parser.add_argument("--afresh", action="store_true", help="forget what runs before this one came to")
    return parser.parse_args()


def _is_enough(tally: Tally, kills: int) -> bool:
    return tally.kills >= kills or tally.rounds > 2 * kills + 5 or len(tally.wrong) >= _WRONG_MOST


def _turn(room: Room, operation: Operation, counts: Counts, key: str, kills: int, end: float) -> None:
    tally = counts.of(key, operation.name)
    known, began = len(tally.wrong), time.monotonic()
    for _ in range(_TURN):
        if _is_enough(tally, kills) or time.monotonic() > end:
            break
        play(room, operation, tally)
        counts.keep(tally)
    took = time.monotonic() - began
    print(f"{key:16} {tally.kills:4} killed, {tally.finished} were quicker, {len(tally.wrong)} wrong  ({took:.0f} s)")
    for sentence in tally.wrong[known:]:
        print("   ", sentence)
    sys.stdout.flush()


def _told(counts: Counts, keys: list[str], path: Path | None) -> int:
    """Write the report with all that was ever counted; 1 when anything of this run's operations was wrong."""
    played = [counts.tallies[key] for key in EVERY if key in counts.tallies and counts.tallies[key].rounds]
    if path:
        path.write_text(report(played))
    return 1 if any(counts.tallies[key].wrong for key in keys if key in counts.tallies) else 0


def report(tallies: list[Tally]) -> str:
    """The page of the documentation."""
    number = libvirt.getVersion()
    version = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
    where = f"{platform.system()} {platform.machine()}, libvirt {version}"
    lines = [_HEAD.format(day=f"{datetime.now(UTC):%Y-%m-%d}", where=where, mib=IMAGE_MIB)]
    lines += [
        f"| {tally.operation} | {tally.takes_s:.2f} s | {tally.kills} | {tally.finished} | {tally.done_all_the_same} |"
        f" {len(tally.wrong)} |"
        for tally in tallies
    ]
    wrong = [sentence for tally in tallies for sentence in tally.wrong]
    if wrong:
        lines += ["", "What was wrong:", "", *(f"- {sentence}" for sentence in wrong)]
    return "\n".join([*lines, _FOOT])


if __name__ == "__main__":
    sys.exit(with_orphans_taken_in(main))
