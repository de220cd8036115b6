"""Starts the simulated vCenter and waits until it answers; it ends with whoever started it."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path
from typing import Self

from tools.peers.vsphere.build import CannotBuild, binary

USER, PASSWORD = "kvweb@vsphere.local", "right"
_START_S = 60.0


class Vcenter:
    """One simulated vCenter on a free port of the loopback. Raises CannotBuild when it cannot be had."""

    def __init__(
        self,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        vms: int = 0,
        datastores: int = 2,
        environment: dict[str, str] | None = None,
    ) -> None:
        command = [str(binary()), "-user", USER, "-password", PASSWORD, "-vms", str(vms)]
        command += ["-datastores", str(datastores)]
        if certificate and key:
            command += ["-certificate", str(certificate), "-key", str(key)]
        self._process = subprocess.Popen(
            command,
            # The simulator ends when this pipe does, so one that is left behind by a killed test does not stay.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        try:
            self.port = self._ready()
        except BaseException:
            self.close()
            raise

    def _ready(self) -> int:
        pipe = self._process.stdout
        if pipe is None:
            raise CannotBuild("The simulated vCenter has no output.")
        until = time.monotonic() + _START_S
        line = b""
        while time.monotonic() < until and b"\n" not in line:
            if select.select([pipe], [], [], 0.2)[0]:
                piece = os.read(pipe.fileno(), 4096)
                if not piece:
                    break
                line += piece
        word, _, address = line.decode().strip().partition(" ")
        if word != "ready":
            raise CannotBuild("The simulated vCenter did not start.")
        return int(address.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End it; may be called twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
