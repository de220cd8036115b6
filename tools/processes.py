"""Keeping processes: start, wait until ready, start again when one dies, stop all in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tools.guardian import alive

Say = Callable[[str, str], None]
Probe = Callable[[], Awaitable[bool]]

# Lines that a person at the terminal wants to see: Python's and Redis's words, nginx's, libvirt's. The log has all.
_TELLING = re.compile(
    r"\b(WARNING|ERROR|CRITICAL|FATAL)\b|\[(warn|error|crit|alert|emerg)\]|: (warning|error) :"
    r"|^[\w.]*(Error|Exception)\b"
)
_BACKOFF = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_STEADY = 60.0  # a process that ran this long has got over its trouble
_SLOW = 20.0  # a start that takes longer is told, so that nobody takes it for a hang
_LOG_LIMIT = 20 * 2**20


class NotReady(Exception):
    """A process did not come up; the trouble is how, with the last thing that it said."""

    def __init__(self, name: str, trouble: str) -> None:
        super().__init__(f"{name} {trouble}")
        self.trouble = trouble


@dataclass(frozen=True)
class Process:
    name: str
    command: Sequence[str | Path]
    variables: Mapping[str, str] = field(default_factory=dict)
    socket: Path | None = None
    """Its Unix socket: what an earlier run left of it is removed before every start."""
    ready: Probe | re.Pattern[str] | None = None
    """Asked again and again, or looked for in the output; None: ready as soon as it runs."""
    patience: float = 120.0
    """Seconds until a process that runs but is not ready is given up; a slow or busy machine needs its time."""
    hush: re.Pattern[str] | None = None
    """Warnings that nobody need act on; they stay in the log."""


class Guardian:
    """The supervisor's end of the pipe to `guardian.py`, which ends the groups when the supervisor is killed."""

    def __init__(self, keep_open: Sequence[int] = ()) -> None:
        script = Path(__file__).with_name("guardian.py")
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(script)],
            stdin=subprocess.PIPE,
            pass_fds=keep_open,
            start_new_session=True,
            text=True,
        )

    def _tell(self, line: str) -> None:
        # A guardian that was killed is a safety net less, not a reason to stop.
        if self._child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.write(line)
                self._child.stdin.flush()

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Ends the guardian, and with it every group that it still watches."""
        if self._child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.close()
        self._child.wait()


class _Log:
    """One process's log file; a new one is begun when it has grown large, and one old one is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def write(self, line: bytes) -> None:
        if self._file.tell() > _LOG_LIMIT:
            self.close()
            self._path.replace(self._path.with_suffix(".log.1"))
            self._file = self._path.open("ab", buffering=0)
        self._file.write(line)

    def close(self) -> None:
        self._file.close()


class _Kept:
    """One process through all of its lives."""

    def __init__(self, process: Process, owner: Supervisor) -> None:
        self.process = process
        self.pid: int | None = None
        self.is_ready = asyncio.Event()
        self.is_hopeless = asyncio.Event()
        """Died more than once before it was ready: waiting longer would not help, trying again might."""
        self.stopping = False
        self.last_word = ""
        """The last thing it said, as ": …"; mostly the reason when it ends by itself."""
        self._told = ""
        self._owner = owner
        self.task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        failures = 0
        was_ready = False
        loop = asyncio.get_running_loop()
        while not self.stopping:
            began = loop.time()
            code, got_ready = await self._live()
            was_ready = was_ready or got_ready
            if self.stopping:
                return
            failures = 1 if loop.time() - began > _STEADY else failures + 1
            if failures > 1 and not was_ready:
                self.is_hopeless.set()
            pause = _BACKOFF[min(failures, len(_BACKOFF)) - 1]
            reason = self.last_word if code > 0 else ""
            self._owner.say(
                self.process.name, f"ended by itself ({_ending(code)}{reason}); starting again in {pause:g} s"
            )
            await asyncio.sleep(pause)

    async def _live(self) -> tuple[int, bool]:
        """One life, from start to the end of the process and its helpers: how it ended, whether it had been ready."""
        if self.process.socket is not None:
            self.process.socket.unlink(missing_ok=True)
        self.last_word = ""
        log = _Log(self._owner.log_folder / f"{self.process.name}.log")
        # A pipe of our own: with asyncio's, waiting for the process also waits for every helper that shares the pipe.
        end_here, end_there = os.pipe()
        try:
            child = await self._owner.spawn(
                self.process.command, self.process.variables, out=end_there, err=asyncio.subprocess.STDOUT
            )
        except OSError as exc:
            log.close()
            os.close(end_here)
            self.last_word = f": {self.process.command[0]} cannot be started, {exc.strerror}"
            return 127, False
        finally:
            os.close(end_there)
        self.pid = child.pid
        self._owner.changed()
        reader = asyncio.create_task(self._read(end_here, log))
        probe = asyncio.create_task(self._wait_ready())
        try:
            code = await child.wait()
            return code, self.is_ready.is_set()
        finally:
            probe.cancel()
            self.is_ready.clear()
            await self._owner.end_group(child.pid, patience=1.0)
            # A stranger that inherited the pipe (a virtual machine that libvirt started) may hold it open for ever.
            await asyncio.wait([reader], timeout=1.0)
            if reader.cancel():
                await asyncio.wait([reader])
            log.close()
            self.pid = None
            self._owner.changed()

    async def _wait_ready(self) -> None:
        ready = self.process.ready
        if isinstance(ready, re.Pattern):
            return  # _read sees it
        while ready is not None and not await ready():
            await asyncio.sleep(0.05)
        self.is_ready.set()

    async def _read(self, pipe: int, log: _Log) -> None:
        stream = asyncio.StreamReader(limit=2**20)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", buffering=0)
        )
        with contextlib.closing(transport):
            await self._follow(stream, log)

    async def _follow(self, stream: asyncio.StreamReader, log: _Log) -> None:
        while True:
            try:
                raw = await stream.readline()
            except ValueError:  # a line longer than the limit; asyncio has dropped it
                continue
            if not raw:
                return
            log.write(raw)
            line = raw.decode(errors="replace").rstrip()
            if line:
                self.last_word = f": {line}"
            ready = self.process.ready
            if isinstance(ready, re.Pattern) and ready.search(line):
                self.is_ready.set()
            # A traceback with causes ends with the same line many times.
            if self._is_telling(line) and line != self._told:
                self._told = line
                self._owner.say(self.process.name, line)

    def _is_telling(self, line: str) -> bool:
        """A warning or error; of a traceback only the line that names the exception, the frames are for the log."""
        if self.process.hush is not None and self.process.hush.search(line):
            return False
        return _TELLING.search(line) is not None


class Supervisor:
    """Starts processes and answers for them until `stop()`."""

    def __init__(
        self,
        log_folder: Path,
        say: Say,
        *,
        guardian: Guardian,
        on_change: Callable[[dict[str, int]], None] | None = None,
    ) -> None:
        self.log_folder = log_folder
        self.say = say
        self._guardian = guardian
        self._on_change = on_change
        self._kept: list[_Kept] = []

    @property
    def running(self) -> dict[str, int]:
        return {kept.process.name: kept.pid for kept in self._kept if kept.pid is not None}

    def changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self.running)

    async def spawn(
        self, command: Sequence[str | Path], variables: Mapping[str, str], *, out: int, err: int
    ) -> asyncio.subprocess.Process:
        """Starts a command as the leader of its own group, so that Ctrl-C reaches it only through the supervisor."""
        child = await asyncio.create_subprocess_exec(
            *(str(part) for part in command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        self._guardian.watch(child.pid)
        return child

    async def start(self, process: Process) -> None:
        """Starts and waits until it is ready; when that takes too long it stays, and NotReady says so."""
        kept = _Kept(process, self)
        self._kept.append(kept)
        hopes = [asyncio.create_task(event.wait()) for event in (kept.is_ready, kept.is_hopeless)]
        first = asyncio.FIRST_COMPLETED
        done, _ = await asyncio.wait(hopes, timeout=min(_SLOW, process.patience), return_when=first)
        if not done and process.patience > _SLOW:
            self.say(process.name, "is still starting")
            done, _ = await asyncio.wait(hopes, timeout=process.patience - _SLOW, return_when=first)
        for hope in hopes:
            hope.cancel()
        if hopes[0] not in done:
            trouble = "keeps ending" if done else f"is not ready after {process.patience:g} s"
            raise NotReady(process.name, f"{trouble}{kept.last_word} (see {self.log_folder / f'{process.name}.log'})")

    async def run(self, name: str, command: Sequence[str | Path], variables: Mapping[str, str]) -> tuple[int, str]:
        """Runs a command to its end; gives its exit code and standard output, both of its outputs go to the log."""
        pipe = asyncio.subprocess.PIPE
        child = await self.spawn(command, variables, out=pipe, err=pipe)
        try:
            out, err = await child.communicate()
        finally:
            await self.end_group(child.pid, patience=2.0)
        log = _Log(self.log_folder / f"{name}.log")
        log.write(err + out)
        log.close()
        if child.returncode:
            # The end of a traceback names the trouble; all of it is in the log.
            for line in err.decode(errors="replace").splitlines()[-2:]:
                self.say(name, line.strip())
        return child.returncode or 0, out.decode(errors="replace")

    async def end_group(self, group: int, *, patience: float) -> None:
        """Ends whatever is left of a process's group: politely first, then surely."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not alive(group):
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
            deadline = asyncio.get_running_loop().time() + patience
            while alive(group) and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.02)
        self._guardian.forget(group)

    async def stop(self, *, within: float = 9.0) -> None:
        """Ends all processes, the last started first; the later ones' waiting leaves less for the earlier ones."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        for kept in self._kept:
            kept.stopping = True
        for kept in reversed(self._kept):
            if kept.pid is None:
                kept.task.cancel()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(kept.pid, signal.SIGTERM)
                _, late = await asyncio.wait([kept.task], timeout=max(0.3, min(3.0, deadline - loop.time() - 1)))
                if late:
                    self.say(kept.process.name, "is still busy, so it is ended")
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(kept.pid, signal.SIGKILL)
            await asyncio.wait([kept.task], timeout=2.0)
        self._kept.clear()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
