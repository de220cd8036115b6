"""The portal's one port in `make up`: writes nginx's configuration and describes its process."""

from __future__ import annotations

import os
import resource
import shutil
import string
from pathlib import Path

from tools.place import ROOT, Place
from tools.probes import tcp_answers
from tools.processes import Process

#: As many as 4000 consoles and all pages need, and no more files than this user may open.
CONNECTIONS = 16384
TEMPLATE = ROOT / "deploy" / "nginx-up.conf.in"


def find() -> str | None:
    # /usr/sbin is not on every user's PATH, and nginx lives there.
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


def configure(place: Place) -> Path:
    """Writes the configuration; every value was checked by `Place.read`, so none can end a directive."""
    folder = place.run / "nginx"
    folder.mkdir(exist_ok=True)
    files = min(2 * CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    values = {
        # Workers of a root master would become "nobody" and could not open the sockets.
        "user": "user root;" if os.geteuid() == 0 else "",
        "folder": str(folder),
        "files": str(files),
        "connections": str(min(CONNECTIONS, files)),
        "listen": place.listen,
        "web_socket": str(place.web_socket),
        "console_socket": str(place.console_socket),
        "transfer_socket": str(place.transfer_socket),
        "static": str(place.home / "static"),
        "mime_types": str(_mime_types()),
    }
    target = folder / "nginx.conf"
    target.write_text(string.Template(TEMPLATE.read_text()).substitute(values))
    return target


def _mime_types() -> Path:
    for file in ("/etc/nginx/mime.types", "/opt/homebrew/etc/nginx/mime.types", "/usr/local/etc/nginx/mime.types"):
        if Path(file).exists():
            return Path(file)
    return Path("/etc/nginx/mime.types")


def process(place: Place, nginx: str) -> Process:
    folder = place.run / "nginx"
    return Process(
        name="nginx",
        command=[nginx, "-p", folder, "-c", configure(place), "-e", "stderr", "-g", "daemon off;"],
        ready=lambda: tcp_answers(place.host, place.port),
    )
