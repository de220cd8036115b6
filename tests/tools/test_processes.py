"""The supervisor: keeps its children running, ends them all, and is itself replaceable only by an orderly successor."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.guardian import alive
from tools.place import ROOT
from tools.processes import Guardian, NotReady, Process, Supervisor


class Said:
    """What the supervisor told the terminal."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, name: str, sentence: str) -> None:
        self.lines.append(f"{name}: {sentence}")

    def __contains__(self, part: str) -> bool:
        return any(part in line for line in self.lines)


def wait_for(what: Callable[[], object], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-u", "-c", code]


@pytest.fixture
def guardian() -> Iterator[Guardian]:
    watch = Guardian()
    yield watch
    watch.close()


SLEEPER = ["sleep", "600"]
STUBBORN = python("import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)")
# A parent with a helper in its own group, as web servers and workers have them.
WITH_HELPER = python(
    "import subprocess, time; print('helper', subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
)


def test_a_process_that_died_is_started_again(tmp_path: Path, guardian: Guardian) -> None:
    said = Said()

    async def story() -> None:
        supervisor = Supervisor(tmp_path, said, guardian=guardian)
        await supervisor.start(Process("sleeper", SLEEPER))
        first = supervisor.running["sleeper"]
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while supervisor.running.get("sleeper", first) == first:
                await asyncio.sleep(0.02)
        second = supervisor.running["sleeper"]
        await supervisor.stop()
        assert not alive(first)
        assert not alive(second)

    asyncio.run(story())
    assert "sleeper: ended by itself (SIGKILL); starting again in 0.5 s" in said


def test_the_helpers_of_a_dead_process_go_with_it(tmp_path: Path, guardian: Guardian) -> None:
    async def story() -> None:
        supervisor = Supervisor(tmp_path, Said(), guardian=guardian)
        await supervisor.start(Process("parent", WITH_HELPER, ready=re.compile("helper")))
        parent = supervisor.running["parent"]
        os.kill(parent, signal.SIGKILL)
        async with asyncio.timeout(10):
            while supervisor.running.get("parent", parent) == parent:
                await asyncio.sleep(0.02)
        # Its helper was in its group, and of the group nobody is left.
        assert not alive(parent)
        await supervisor.stop()

    asyncio.run(story())


def test_all_stop_even_the_stubborn_one_and_in_reverse_order(tmp_path: Path, guardian: Guardian) -> None:
    said = Said()
    ended: list[str] = []

    async def story() -> float:
        before: dict[str, int] = {}

        def note(running: dict[str, int]) -> None:
            ended.extend(name for name in before if name not in running)
            before.clear()
            before.update(running)

        supervisor = Supervisor(tmp_path, said, guardian=guardian, on_change=note)
        for process in (
            Process("first", SLEEPER),
            Process("stubborn", STUBBORN, ready=re.compile("up")),
            Process("last", SLEEPER),
        ):
            await supervisor.start(process)
        began = time.monotonic()
        await supervisor.stop()
        return time.monotonic() - began

    took = asyncio.run(story())
    assert ended == ["last", "stubborn", "first"]
    assert took < 10
    assert "stubborn: is still busy, so it is ended" in said


def test_a_process_that_keeps_ending_is_not_waited_for(tmp_path: Path, guardian: Guardian) -> None:
    async def story() -> None:
        supervisor = Supervisor(tmp_path, Said(), guardian=guardian)
        broken = Process("broken", python("raise SystemExit('no such command')"), ready=re.compile("never"))
        began = time.monotonic()
        with pytest.raises(NotReady, match="keeps ending: no such command"):
            await supervisor.start(broken)
        assert time.monotonic() - began < broken.patience / 2
        await supervisor.stop()

    asyncio.run(story())


def test_a_missing_program_is_a_sentence(tmp_path: Path, guardian: Guardian) -> None:
    async def story() -> None:
        supervisor = Supervisor(tmp_path, Said(), guardian=guardian)
        with pytest.raises(NotReady, match="no-such-program cannot be started, No such file"):
            await supervisor.start(Process("missing", ["no-such-program"], ready=re.compile("never")))
        await supervisor.stop()

    asyncio.run(story())


def test_only_telling_lines_are_shown_and_all_are_kept(tmp_path: Path, guardian: Guardian) -> None:
    said = Said()
    code = (
        "print('all is well'); print('WARNING: it smells'); print('Traceback (most recent call last):');"
        "print('  File x'); print('KeyError: 1'); print('on we go'); print('up'); import time; time.sleep(600)"
    )

    async def story() -> None:
        supervisor = Supervisor(tmp_path, said, guardian=guardian)
        await supervisor.start(Process("talker", python(code), ready=re.compile("^up$")))
        await supervisor.stop()

    asyncio.run(story())
    assert [line.removeprefix("talker: ") for line in said.lines] == [
        "WARNING: it smells",
        "KeyError: 1",
    ]
    assert "all is well\n" in (tmp_path / "talker.log").read_text()


def test_a_socket_left_behind_is_removed_before_the_start(tmp_path: Path, guardian: Guardian) -> None:
    left = tmp_path / "old.sock"
    left.touch()

    async def story() -> None:
        supervisor = Supervisor(tmp_path, Said(), guardian=guardian)
        await supervisor.start(Process("server", SLEEPER, socket=left))
        assert not left.exists()
        await supervisor.stop()

    asyncio.run(story())


def test_run_gives_code_and_output(tmp_path: Path, guardian: Guardian) -> None:
    said = Said()

    async def story() -> tuple[int, str]:
        supervisor = Supervisor(tmp_path, said, guardian=guardian)
        command = python("import sys; print('{}'); print('it broke', file=sys.stderr); sys.exit(3)")
        return await supervisor.run("once", command, {})

    assert asyncio.run(story()) == (3, "{}\n")
    assert "once: it broke" in said


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """SIGKILL cannot be caught: the guardian notices the closed pipe."""
    script = f"""
import asyncio, sys
from pathlib import Path
from tools.processes import Guardian, Process, Supervisor
async def main():
    supervisor = Supervisor(Path({str(tmp_path)!r}), lambda name, line: None, guardian=Guardian())
    await supervisor.start(Process("sleeper", ["sleep", "600"]))
    print(supervisor.running["sleeper"], flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        sleeper = int(supervisor.stdout.readline())
        assert alive(sleeper)
        supervisor.kill()
    wait_for(lambda: not alive(sleeper))
