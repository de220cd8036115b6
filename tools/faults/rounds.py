"""One operation, killed again and again: what each round must leave, and what came of all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kvweb.jobs.models import JobState
from tools.faults.looks import troubles
from tools.faults.room import Room, moment
from tools.faults.work import SOURCE, Operation


@dataclass
class Tally:
    """What came of an operation's rounds."""

    operation: str
    takes_s: float
    kills: int = 0
    """Rounds in which the worker died before the job's end."""
    finished: int = 0
    """Rounds in which the job was quicker than the signal."""
    done_all_the_same: int = 0
    """Killed, and the effect was there afterwards: taken over, or done by the hypervisor itself."""
    wrong: list[str] = field(default_factory=list)


def play(room: Room, operation: Operation, *, kills: int, most_rounds: int = 0) -> Tally:
    """Kill it so many times. Each round begins with everything right and must end with everything right."""
    if operation.needs_source:
        operation.fresh_source()
    tally = Tally(operation.name, _undisturbed_s(room, operation))
    for number in range(most_rounds or 2 * kills + 5):
        if tally.kills >= kills:
            break
        if operation.needs_source and not operation.at("North", SOURCE):
            operation.fresh_source()
        try:
            _round(room, operation, tally)
        except Exception as exc:
            tally.wrong.append(f"round {number}: {type(exc).__name__}: {exc}")
            _clean(room, operation)
    return tally


def _undisturbed_s(room: Room, operation: Operation) -> float:
    """How long it takes when nobody disturbs it, at its quickest; raises when it does not work at all."""
    took: list[float] = []
    for _ in range(3):
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
    return min(took)


def _round(room: Room, operation: Operation, tally: Tally) -> None:
    operation.prepare()
    after_s = moment(tally.takes_s)
    was_killed, job = operation.attempt(after_s)
    tally.kills += was_killed
    tally.finished += not was_killed
    room.run_all()
    job.refresh_from_db()
    when = f"{operation.name}, killed after {after_s:.2f} s of {tally.takes_s:.2f}"
    if job.state not in {JobState.SUCCEEDED, JobState.FAILED}:
        tally.wrong.append(f"{when}: the job is {job.state}: {job.reason}")
    if job.state == JobState.SUCCEEDED and not operation.is_done():
        tally.wrong.append(f"{when}: the job says it is done, and it is not")
    kept = {SOURCE: room.content} if operation.needs_source else {}
    tally.wrong += [f"{when}: {trouble}" for trouble in troubles(room, kept=kept)]
    # Somebody tries again, unless it is done.
    if operation.is_done():
        tally.done_all_the_same += was_killed
    else:
        _, again = operation.attempt(None)
        room.run_all()
        again.refresh_from_db()
        if again.state != JobState.SUCCEEDED or not operation.is_done():
            tally.wrong.append(f"{when}: a second try: {again.state}: {again.reason}")
    operation.take_back()
    room.run_all()
    tally.wrong += [f"{when}, taken back: {trouble}" for trouble in troubles(room, kept={})]


def _clean(room: Room, operation: Operation) -> None:
    """After a round that broke off, so that the next begins with everything right."""
    for name in room.daemons:
        room.sync(name)
    operation.take_back()
