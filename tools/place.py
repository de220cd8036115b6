"""Where this portal lives: its folders, sockets and address, read from the same variables as its settings."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Unusable(Exception):
    """The environment asks for something that cannot be; the message is a sentence for the person at the terminal."""


@dataclass(frozen=True)
class Place:
    home: Path
    host: str
    port: int
    environment: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Place:
        home = Path(variables.get("KVWEB_HOME") or ROOT / "var").expanduser().absolute()
        host = variables.get("KVWEB_HOST") or "127.0.0.1"
        port_text = variables.get("KVWEB_PORT") or "8000"
        if not port_text.isdecimal() or not 0 < int(port_text) < 65536:
            raise Unusable(f"KVWEB_PORT is {port_text!r}; it must be a port number, as in KVWEB_PORT=8000.")
        # Both go into nginx's configuration, where a space or a semicolon would start a new directive.
        if not re.fullmatch(r"[A-Za-z0-9.:-]+", host):
            raise Unusable(f"KVWEB_HOST is {host!r}; it must be an address or a host name, as in KVWEB_HOST=0.0.0.0.")
        if not re.fullmatch(r"[\w./@+,=~-]+", str(home)):
            raise Unusable(
                f"KVWEB_HOME is {str(home)!r}; please choose a folder without spaces and special characters."
            )
        if len(os.fsencode(home)) > 85:  # a Unix socket's path ends at 107 bytes
            raise Unusable(f"KVWEB_HOME is {str(home)!r}, too long for the sockets inside; choose a shorter path.")
        return cls(home=home, host=host, port=int(port_text), environment=variables.get("KVWEB_ENV") or "development")

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def guest_image(self) -> Path:
        return self.home / "guest" / "kvweb-guest.qcow2"

    @property
    def redis_socket(self) -> Path:
        return self.run / "redis.sock"

    @property
    def web_socket(self) -> Path:
        return self.run / "web.sock"

    @property
    def console_socket(self) -> Path:
        return self.run / "console.sock"

    @property
    def transfer_socket(self) -> Path:
        return self.run / "transfer.sock"

    @property
    def state_file(self) -> Path:
        return self.run / "up.json"

    @property
    def listen(self) -> str:
        """The address as nginx writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """What to type into a browser; an address that means "all" is shown as this machine's name."""
        name = self.host
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            pass
        else:
            if address.is_unspecified:
                name = socket.gethostname()
            elif address.version == 6:
                name = f"[{self.host}]"
        return f"http://{name}:{self.port}/"

    def make_folders(self) -> None:
        for folder in (self.home, self.run, self.log, self.home / "guest", self.home / "redis", self.home / "static"):
            folder.mkdir(parents=True, exist_ok=True)
        # Who can open a socket in here speaks with the portal's own processes.
        self.run.chmod(0o700)

    def variables(self) -> dict[str, str]:
        """For the portal's processes: what was a default here is the same default there."""
        return {
            "KVWEB_HOME": str(self.home),
            "KVWEB_HOST": self.host,
            "KVWEB_PORT": str(self.port),
            "KVWEB_ENV": self.environment,
        }

    def check_port(self) -> None:
        """Refuses a port that another program holds, before anything is started."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        except OSError as exc:
            raise Unusable(
                f"KVWEB_HOST is {self.host!r}, which is no address of this machine ({exc.strerror})."
            ) from exc
        with socket.socket(family, kind, protocol) as probe:
            # As nginx does: connections of an earlier run that still close are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as exc:
                raise Unusable(self._why_not(exc)) from exc

    def _why_not(self, exc: OSError) -> str:
        if exc.errno == errno.EADDRINUSE:
            other = self.port + 1 if self.port < 65535 else 8000
            return (
                f"Port {self.port} on {self.host} is taken by another program. "
                f"Choose another with KVWEB_PORT, as in: make up KVWEB_PORT={other}"
            )
        if exc.errno == errno.EACCES:
            return f"Port {self.port} needs root. Choose one above 1023 with KVWEB_PORT, as in: make up KVWEB_PORT=8000"
        return f"The portal cannot listen on {self.listen} ({exc.strerror}); see KVWEB_HOST and KVWEB_PORT."

    def state(self) -> dict[str, Any]:
        """What a running supervisor wrote about itself; empty when there is none or it cannot be read."""
        try:
            found = json.loads(self.state_file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_state(self, state: Mapping[str, object]) -> None:
        """In one step, so that a reader never sees half of it."""
        draft = self.state_file.with_suffix(".new")
        draft.write_text(json.dumps(state, indent=2) + "\n")
        draft.replace(self.state_file)
