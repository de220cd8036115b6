"""A whole portal: what `make up` starts, in a home and on a port of its own, and a browser to look at it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.place import ROOT
from tools.trial.waiting import until

GUEST = ROOT / "var" / "guest" / "kvweb-guest.qcow2"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Portal:
    """One running portal. `home` holds its state, `url` its address."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = ""
        self._variables = variables
        self._output = home / "output.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 180.0) -> None:
        guest = self.home / "guest"
        guest.mkdir(parents=True, exist_ok=True)
        for name in (GUEST.name, f"{GUEST.name}.json"):
            if (GUEST.parent / name).exists() and not (guest / name).exists():
                shutil.copy2(GUEST.parent / name, guest / name)
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KVWEB_")},
            "KVWEB_ENV": "development",
            "KVWEB_HOME": str(self.home),
            "KVWEB_PORT": str(self.port),
            **self._variables,
        }
        with self._output.open("ab") as output:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tools.up"],
                cwd=ROOT,
                env=variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(self._is_up, timeout_s=timeout_s, said="The start of the portal")
        if found := re.search(r"with the password (\S+)", self.output):
            self.password = found[1]

    def _is_up(self) -> bool:
        assert self._child is not None
        assert self._child.poll() is None, f"The portal ended by itself:\n{self.output[-3000:]}"
        return "kvweb is at" in self.output

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def stop(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait(timeout=20)

    def process(self, name: str) -> int:
        """The id of one of its processes."""
        state = json.loads((self.home / "run" / "up.json").read_text())
        pid: int = state["processes"][name]
        return pid

    def log(self, name: str) -> str:
        return (self.home / "log" / f"{name}.log").read_text(errors="replace")

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What the portal's database says, read beside it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.home / 'kvweb.sqlite3'}?mode=ro", uri=True)) as database:
            return database.execute(sql, values).fetchall()

    def jobs(self) -> str:
        """All jobs and the end of the worker's log, for the message of a failed test."""
        rows = self.rows("select kind, state, attempt, percent, message, reason, code from jobs_job order by id")
        return "\n".join([*map(str, rows), self.log("worker")[-3000:]])

    def manage(self, code: str) -> str:
        """Run a few lines inside the portal's Django and return what they print."""
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
            cwd=ROOT,
            env={
                **os.environ,
                "KVWEB_ENV": "development",
                "KVWEB_HOME": str(self.home),
                "KVWEB_REDIS_URL": f"unix://{self.home / 'run' / 'redis.sock'}",
                **self._variables,
            },
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
