"""One operation, killed again and again: what each round must leave."""

from __future__ import annotations

import time

from kvweb.jobs.models import JobState
from tools.faults.counts import Tally
from tools.faults.looks import troubles
from tools.faults.room import Room, moment
from tools.faults.work import SOURCE, Operation


def measure(room: Room, operation: Operation, tally: Tally) -> None:
    """How long it takes when nobody disturbs it, at its quickest; raises when it does not work at all."""
    took: list[float] = []
    for _ in range(2):
        _furnish(operation)
        operation.prepare()
        began = time.monotonic()
        _, job = operation.attempt(None)
        took.append(time.monotonic() - began)
        room.run_all()
        job.refresh_from_db()
        if job.state != JobState.SUCCEEDED or not operation.is_done():
            raise RuntimeError(f"{operation.name} does not work undisturbed: {job.state} {job.reason}")
        operation.take_back()
        room.run_all()
    tally.takes_s = min(took)


def play(room: Room, operation: Operation, tally: Tally) -> None:
    """Kill it once. The round begins with everything right and must end with everything right."""
    try:
        _furnish(operation)
        _round(room, operation, tally)
    except Exception as exc:
        tally.wrong.append(f"{operation.name}: {type(exc).__name__}: {exc}")
        for name in room.daemons:
            room.sync(name)
        operation.take_back()


def _furnish(operation: Operation) -> None:
    if operation.needs_source and not operation.at("North", SOURCE):
        operation.fresh_source()


def _round(room: Room, operation: Operation, tally: Tally) -> None:
    operation.prepare()
    after_s = moment(tally.takes_s)
    was_killed, job = operation.attempt(after_s)
    tally.kills += was_killed
    tally.finished += not was_killed
    room.run_all()
    job.refresh_from_db()
    when = f"{operation.name}, killed after {after_s:.2f} s of {tally.takes_s:.2f}"
    is_done = operation.is_done()
    if job.state not in {JobState.SUCCEEDED, JobState.FAILED}:
        tally.wrong.append(f"{when}: the job is {job.state}: {job.reason}")
    if job.state == JobState.SUCCEEDED and not is_done:
        tally.wrong.append(f"{when}: the job says it is done, and it is not")
    found = [*troubles(room, kept=operation.kept()), *operation.troubles()]
    # Somebody tries again, unless it is done.
    if is_done:
        tally.done_all_the_same += was_killed
    else:
        _, again = operation.attempt(None)
        room.run_all()
        again.refresh_from_db()
        if again.state != JobState.SUCCEEDED or not operation.is_done():
            found.append(f"a second try: {again.state}: {again.reason}")
    tally.wrong += [f"{when}: {trouble}" for trouble in found]
    operation.take_back()
    room.run_all()
    left = [*troubles(room, kept={}), *operation.troubles()]
    tally.wrong += [f"{when}, taken back: {trouble}" for trouble in left]
