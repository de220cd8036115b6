"""`python -m tools.faults`: plays the rounds and writes what came of them."""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import libvirt

from tools.bench.django_home import django_here

django_here()

from tools.faults.room import IMAGE_MIB, Room  # noqa: E402 - needs Django
from tools.faults.rounds import Tally, play  # noqa: E402
from tools.faults.work import OPERATIONS  # noqa: E402

_HEAD = """# When a worker dies

A worker can be killed at any moment: by the machine's memory, by an update, by a person. Then its job ends as failed,
what was half made is taken away, and what was changed is read anew; trying again works. This page is what
`python -m tools.faults` found when it was last run: each operation begins in a worker process that is ended with
SIGKILL at a random moment of it. After each round no file in any pool is without an owner, every disk passes
`qemu-img check` and holds what it held, every machine has one row, a job that says it is done has done it, and a
second try succeeds.

Run on {day}, {where}: two private daemons, a disk of {mib} MiB of random bytes.

| operation | takes | killed | was quicker | done all the same | wrong |
|---|---:|---:|---:|---:|---:|"""

_FOOT = """
“Was quicker”: the signal came after the job's end. “Done all the same”: the worker died, and what it had asked the
hypervisor for happened nevertheless; the portal finds it and takes it over.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.faults")
    parser.add_argument("kills", type=int, help="how often each operation's worker is killed")
    parser.add_argument("operations", nargs="*", choices=[[], *OPERATIONS], help="only these")
    parser.add_argument("--report", type=Path, help="write the report there too")
    chosen = parser.parse_args()
    tallies = []
    with Room().opened() as room:
        for name in chosen.operations or OPERATIONS:
            tally = play(room, OPERATIONS[name](room), kills=chosen.kills)
            tallies.append(tally)
            came = f"{tally.kills} killed, {tally.finished} were quicker, {len(tally.wrong)} wrong"
            print(f"{name:16} {tally.takes_s:6.2f} s  {came}")
            for sentence in tally.wrong:
                print("   ", sentence)
            sys.stdout.flush()
    if chosen.report:
        chosen.report.write_text(report(tallies))
    return 1 if any(tally.wrong for tally in tallies) else 0


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
    sys.exit(main())
