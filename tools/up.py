"""`make up`: starts the whole portal in one terminal, keeps it running, and stops all of it on Ctrl-C.

The order is: Redis, the local hypervisor, the guest image, the database, the web processes behind nginx, the rest.
What can be missing (hypervisor, guest image, console proxy …) is said in a sentence; what cannot ends the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import IO, Any

from tools import frontdoor, libvirt_start, static_files
from tools.place import ROOT, Place, Unusable
from tools.probes import http_answers, redis_answers, socket_answers
from tools.processes import Guardian, NotReady, Process, Supervisor
from tools.reaper import with_orphans_taken_in
from tools.terminal import banner, say

PYTHON = sys.executable


@dataclass
class Portal:
    """One start of the portal: its place, its supervisor, and what the database said about the first run."""

    place: Place
    supervisor: Supervisor
    hypervisor: str | None = None
    first_run: dict[str, Any] | None = None

    async def start(self) -> None:
        await self._start_redis()
        self.hypervisor = await libvirt_start.bring_up(self.supervisor)
        await self._build_guest()
        # Loading Django takes most of a start, so the web processes do it meanwhile; the door opens after both.
        await _all(self._prepare_database(), self._start_web())
        await self._open_door()
        await asyncio.gather(*(self._start_optional(process) for process in self._helpers()))

    async def _start_redis(self) -> None:
        redis = shutil.which("redis-server")
        if redis is None:
            raise Unusable("redis-server is missing; install Redis (on Debian: apt-get install redis-server).")
        settings = self.place.run / "redis.conf"
        settings.write_text(
            "port 0\n"
            f"unixsocket {self.place.redis_socket}\n"
            "unixsocketperm 700\n"
            f"dir {self.place.home / 'redis'}\n"
            # Jobs and events live in the database; what is only here may be lost with the process.
            "appendonly no\n"
            'save ""\n'
            "daemonize no\n"
            "databases 4\n"
        )
        await self.supervisor.start(
            Process(
                name="redis",
                command=[redis, settings],
                socket=self.place.redis_socket,
                ready=lambda: redis_answers(self.place.redis_socket),
                # About memory while it saves to disk, which it does not do here.
                hush=re.compile("overcommit"),
            )
        )
        say("redis", "ready")

    async def _build_guest(self) -> None:
        """The small guest that first virtual machines are made from; only a local hypervisor can start it."""
        image = self.place.guest_image
        if image.exists() or self.hypervisor is None or not (ROOT / "guest" / "build.py").exists():
            return
        say("guest", "building the small guest image, once")
        code, _ = await self.supervisor.run("guest", [PYTHON, "-m", "guest.build", "--out", image], self._variables())
        say(
            "guest",
            f"built: {image}" if code == 0 and image.exists() else "could not be built; the portal goes on without",
        )

    async def _prepare_database(self) -> None:
        command = [PYTHON, "-m", "tools.database", "--hypervisor", self.hypervisor or "none"]
        if self.place.guest_image.exists():
            command += ["--guest", str(self.place.guest_image)]
        code, output = await self.supervisor.run("database", command, self._variables())
        if code:
            raise Unusable(f"The database could not be prepared; see {self.place.log / 'database.log'}")
        with contextlib.suppress(ValueError):
            self.first_run = json.loads(output[output.index("{") :])
        say("database", "up to date")
        for note in (self.first_run or {}).get("notes", []):
            say("database", note)

    async def _start_web(self) -> None:
        place = self.place
        web = [PYTHON, "-m", "uvicorn", "kvweb.asgi:application", "--uds", str(place.web_socket), "--workers", "2"]
        # The socket is ours alone, so whoever speaks on it is nginx, and its forwarding headers hold.
        web += ["--proxy-headers", "--forwarded-allow-ips", "*", "--no-access-log", "--lifespan", "off"]
        # Event streams never end by themselves.
        web += ["--timeout-graceful-shutdown", "2", "--log-level", "warning"]
        await self.supervisor.start(
            Process(
                name="web",
                command=web,
                variables=self._variables(),
                socket=place.web_socket,
                ready=lambda: http_answers(place.web_socket, "/health", place.listen),
            )
        )
        say("web", "ready")

    async def _open_door(self) -> None:
        nginx = frontdoor.find()
        if nginx is None:
            raise Unusable("nginx is missing; install it (on Debian: apt-get install nginx).")
        await self.supervisor.start(frontdoor.process(self.place, nginx))
        say("nginx", f"ready at {self.place.url}")
        await self._collect_static()

    async def _collect_static(self) -> None:
        """Until this is done, and for files that come later, nginx asks the application, which knows all folders."""
        if static_files.are_current(self.place):
            return
        code, _ = await self.supervisor.run("static", static_files.command(PYTHON), self._variables())
        if code == 0:
            static_files.note(self.place)
        else:
            say("static", "files could not be collected for nginx, so the application serves them itself")

    def _helpers(self) -> list[Process]:
        celery = [PYTHON, "-m", "celery", "-A", "kvweb"]
        # As root Celery warns at every start; here root is who runs everything, the hypervisor included.
        variables = self._variables() | {"PYTHONWARNINGS": "ignore::RuntimeWarning:celery.platforms"}
        worker = ["worker", "-c", "6", "-n", f"worker@{self.place.port}", "--loglevel", "INFO"]
        worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        beat = ["beat", "--scheduler", "django_celery_beat.schedulers:DatabaseScheduler", "--loglevel", "INFO"]
        # No pid file: the supervisor knows, and one that a crash left behind would forbid the next start.
        beat += ["--pidfile="]
        return [
            Process("worker", [*celery, *worker], variables, ready=re.compile(r"worker@\S+ ready\.")),
            Process("beat", [*celery, *beat], variables, ready=re.compile(r"beat: Starting")),
            Process(
                "console",
                [PYTHON, "manage.py", "console_proxy"],
                self._variables(),
                socket=self.place.console_socket,
                ready=lambda: socket_answers(self.place.console_socket),
            ),
            Process(
                "transfer",
                [PYTHON, "manage.py", "transfer_server"],
                self._variables(),
                socket=self.place.transfer_socket,
                ready=lambda: http_answers(self.place.transfer_socket, "/health", self.place.listen),
            ),
            Process("watcher", [PYTHON, "manage.py", "watch_providers"], self._variables()),
        ]

    async def _start_optional(self, process: Process) -> None:
        try:
            await self.supervisor.start(process)
        except NotReady as exc:
            say(process.name, exc.trouble)
        else:
            say(process.name, "ready")

    def _variables(self) -> dict[str, str]:
        return {
            **self.place.variables(),
            "KVWEB_REDIS_URL": f"unix://{self.place.redis_socket}",
            "PYTHONUNBUFFERED": "1",
            # Some environments forbid the bytecode cache; without it every process would compile Django anew (3 s).
            "PYTHONDONTWRITEBYTECODE": "",
        }

    def password_lines(self) -> list[str]:
        """How to sign in; the first password is told once, so it is told even when the rest of the start fails."""
        told = self.first_run or {}
        if told.get("password"):
            return [
                f"sign in as {told.get('admin')} with the password {told['password']}",
                "(it is shown this once; `make password` sets another)",
            ]
        if told.get("admin"):
            return [f"sign in as {told['admin']}; password as you set it; `make password` resets"]
        return []

    def report(self, seconds: float) -> None:
        provider = (self.first_run or {}).get("provider") or ("kvm" if self.hypervisor else "fake")
        banner(
            [
                f"kvweb is at {self.place.url}   (started in {seconds:.1f} s)",
                *self.password_lines(),
                f"virtual machines run on this machine's libvirt ({self.hypervisor})"
                if provider == "kvm"
                else "virtual machines are simulated (provider “fake”): no local hypervisor is used",
                f"logs are in {self.place.log}; Ctrl-C stops everything",
            ]
        )


async def _all(*steps: Coroutine[None, None, None]) -> None:
    """Runs all steps at once; the first that fails cancels the others, and its own error is what comes out."""
    tasks = [asyncio.create_task(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def take_lock(place: Place) -> IO[str]:
    """One supervisor a home. The guardian of a killed one holds the lock too, until it has cleaned up."""
    lock = (place.run / "up.lock").open("w")
    deadline = time.monotonic() + 15
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = place.state()
            if _lives(state.get("pid")) or time.monotonic() > deadline:
                where = state.get("url", place.url)
                raise Unusable(
                    f"kvweb is running already, at {where} (process {state.get('pid')}, home {place.home})."
                ) from None
            time.sleep(0.1)
        else:
            return lock


def _lives(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def serve(place: Place) -> int:
    began = time.monotonic()
    place.make_folders()
    lock = take_lock(place)
    place.check_port()
    state: dict[str, object] = {"pid": os.getpid(), "url": place.url, "ready": False, "processes": {}}

    def note(processes: dict[str, int]) -> None:
        place.write_state(state | {"processes": processes})

    note({})
    guardian = Guardian(keep_open=[lock.fileno()])
    supervisor = Supervisor(place.log, say, guardian=guardian, on_change=note)
    portal = Portal(place, supervisor)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    starting = asyncio.create_task(portal.start())
    stopping = asyncio.create_task(stop.wait())
    code = 0
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            state["ready"] = True
            note(supervisor.running)
            portal.report(time.monotonic() - began)
            await stop.wait()
        say("kvweb", "stopping")
    except (NotReady, Unusable) as exc:
        say("kvweb", str(exc))
        if (portal.first_run or {}).get("password"):
            banner(portal.password_lines())
        code = 1
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError, NotReady, Unusable):
            await starting
        await supervisor.stop()
        guardian.close()
        place.state_file.unlink(missing_ok=True)
        lock.close()
    say("kvweb", "stopped")
    return code


def main() -> int:
    os.chdir(ROOT)
    try:
        place = Place.read(os.environ)
        again = libvirt_start.command_with_group([PYTHON, "-m", "tools.up"])
        if again is not None:
            os.execvp(again[0], again)
        return asyncio.run(serve(place))
    except Unusable as exc:
        print(f"  {exc}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(with_orphans_taken_in(main))
