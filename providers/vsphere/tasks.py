"""Waiting for what the server does on its own, within a deadline, and stopping it when the person asks.

pyVim.task is not used: it has no deadline, and breaks on tasks whose names it does not know.
"""

from __future__ import annotations

import time
from typing import Any

from providers.base import QUIET, Progress, TimedOut
from providers.vsphere.connection import Connection
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import MethodFault
from providers.vsphere.properties import Found, read_one, typed

_FIRST_S, _LONGEST_S = 0.05, 1.0
#: How long a task that was cancelled may take to end.
_STOPPING_S = 60.0


def wait(
    connection: Connection,
    task: Any,
    progress: Progress = QUIET,
    *,
    part: tuple[int, int] = (0, 100),
    sentence: str = "",
    can_stop: bool = True,
) -> Found:
    """Wait until a task ends; answers with the task, whose `info.result` says what it made. Raises its fault.

    The task's own 0–100 % are told as the given part of the whole. Cancelled passes when the task has come to its end.
    """
    until = time.monotonic() + connection.config.task_timeout_s
    pause, told = _FIRST_S, -1
    try:
        while True:
            state = read_one(connection, task, "info.state", "info.progress", "info.result")
            match state.text("info.state"):
                case "success":
                    return state
                case "error":
                    raise typed(connection, task, "info.error")
            percent = part[0] + (part[1] - part[0]) * (state.number("info.progress") or 0) // 100
            if sentence and percent != told:
                told = percent
                progress.report(percent, sentence)
            if can_stop:
                progress.checkpoint()
            if time.monotonic() > until:
                raise TimedOut("The server did not finish in time.")
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_S)
    except MethodFault:
        raise
    except BaseException:
        _stop(connection, task)
        raise


def _stop(connection: Connection, task: Any) -> None:
    """Cancel and wait for the end, so that what the caller clears up next is not being made any more."""
    try:
        with vendor_calls():
            if _is_over(connection, task):
                return
            task.CancelTask()
    except Exception:  # noqa: S110 - some tasks cannot be cancelled; they are waited for
        pass
    until = time.monotonic() + _STOPPING_S
    while time.monotonic() < until:
        try:
            with vendor_calls():
                if _is_over(connection, task):
                    return
        except Exception:
            return
        time.sleep(_LONGEST_S / 4)


def _is_over(connection: Connection, task: Any) -> bool:
    return read_one(connection, task, "info.state").text("info.state") in ("success", "error")
