"""A guest started directly in QEMU for the tests: its serial line, its control socket, its seed disk."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pycdlib


def write_seed(path: Path, files: dict[str, str]) -> None:
    """Write a NoCloud seed disk: an ISO labelled cidata with the files given."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for number, (name, text) in enumerate(files.items()):
        content = text.encode()
        iso.add_fp(io.BytesIO(content), len(content), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}")
    iso.write(str(path))
    iso.close()


class Machine:
    """A running guest on software emulation; use it as a context manager."""

    def __init__(self, folder: Path, image: Path, *arguments: str, machine: str = "q35", size: str = "2G") -> None:
        self.folder = folder
        self.output = ""
        disk = folder / "disk.qcow2"
        if not disk.exists():
            command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), str(disk), size]
            subprocess.run(command, check=True, timeout=60)
        for name in ("serial", "qmp"):
            (folder / name).unlink(missing_ok=True)
        command = ["qemu-system-x86_64", "-machine", f"{machine},accel=tcg", "-smp", "1", "-m", "256"]
        command += ["-display", "none", "-serial", f"unix:{folder}/serial,server=on,wait=on"]
        command += ["-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
        command += [argument.replace("@DISK@", str(disk)) for argument in arguments]
        self.began = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.serial = self._connect("serial")
        self.control = self._connect("qmp")
        self.control.settimeout(30)
        self._lines = self.control.makefile("r")
        self._lines.readline()
        self.command("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait(timeout=20)
        self.serial.close()
        self._lines.close()
        self.control.close()

    def _connect(self, name: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        for _ in range(600):
            try:
                connection.connect(str(self.folder / name))
            except OSError:
                time.sleep(0.05)
            else:
                return connection
        self.process.kill()
        raise AssertionError(f"QEMU did not open its {name} socket")

    def used_s(self) -> float:
        """Seconds of processor time that QEMU used until now."""
        # After the program's name, which may hold spaces: fields 14 and 15 of the line, user and system time in ticks.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def command(self, name: str, **arguments: Any) -> Any:
        """Give QEMU a command; returns its answer."""
        self.control.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline())
            if "error" in answer:
                raise AssertionError(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def wait_for(self, pattern: str, timeout: float = 60) -> str:
        """Read the serial line until a pattern stands in what has not been looked at yet; returns all up to it."""
        end = time.monotonic() + timeout
        while not (match := re.search(pattern, self.output)):
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{pattern!r} did not come within {timeout} s; there was:\n{self.output[-3000:]}")
            self.serial.settimeout(left)
            try:
                received = self.serial.recv(65536)
            except TimeoutError:
                continue
            assert received or self.process.poll() is None, f"QEMU ended; there was:\n{self.output[-3000:]}"
            # Bytes come as they please, also half a letter at a time.
            self.output += self._decoder.decode(received)
        text, self.output = self.output[: match.end()], self.output[match.end() :]
        return text

    def type(self, text: str) -> None:
        """Type on the serial line."""
        self.serial.sendall(text.encode())

    def log_in(self, user: str, password: str) -> None:
        """Log in at the serial prompt that was just waited for."""
        self.type(f"{user}\n")
        self.wait_for("Password: ", 20)
        self.type(f"{password}\n")
        self.wait_for(r"\$ ", 20)
        # Wide, so that the shell does not fold the lines it echoes.
        self.shell("stty cols 1000")

    def shell(self, line: str, timeout: float = 30) -> str:
        """Run a line in the shell that is logged in; returns what it printed."""
        # The mark is put together by the shell, so its echo on the terminal is not taken for the end.
        self.type(f"{line}; echo D'ON'E-$?\n")
        text = self.wait_for(r"DONE-\d+\r?\n", timeout)
        self.wait_for(r"\$ ", 10)
        return text.replace("\r", "").partition("\n")[2].rpartition("DONE-")[0].strip()

    def power_down(self, timeout: float = 30) -> float:
        """Press the power button; returns the seconds until QEMU ended."""
        began = time.monotonic()
        self.command("system_powerdown")
        self.process.wait(timeout)
        return time.monotonic() - began
