"""Running the host's programs, with a sentence that helps when one is missing or fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

# Which package brings each program; HOST_PACKAGES lists the same packages for people and scripts.
PACKAGE_OF = {
    "apt-cache": "apt",
    "apt-get": "apt",
    "debugfs": "e2fsprogs",
    "depmod": "kmod",
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
    "mcopy": "mtools",
    "mformat": "mtools",
    "mke2fs": "e2fsprogs",
    "mmd": "mtools",
    "qemu-img": "qemu-utils",
    "syslinux": "syslinux",
    "xz": "xz-utils",
    "zstd": "zstd",
}


class GuestBuildError(Exception):
    """The image cannot be built; the message says what to do about it."""


def find_tool(name: str) -> str:
    """Return the path of a program, also from the folders an ordinary user's PATH leaves out."""
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise GuestBuildError(f"{name} is not installed; run: apt-get install {PACKAGE_OF.get(name, name)}")
    return path


def check_tools() -> None:
    """Fail with one sentence that names every missing package."""
    missing = {package for tool, package in PACKAGE_OF.items() if shutil.which(tool, path=SEARCH_PATH) is None}
    if missing:
        raise GuestBuildError(
            f"programs are missing to build the guest image; run: apt-get install {' '.join(sorted(missing))}"
        )


def run(*command: str | Path, cwd: Path | None = None, stdin: str = "") -> str:
    """Run a program and return what it printed; a failure carries its last words."""
    name = str(command[0])
    arguments = [name if "/" in name else find_tool(name), *map(str, command[1:])]
    # A fixed locale and clock keep messages readable for us and images equal from build to build.
    environment = {**os.environ, "LC_ALL": "C", "PATH": SEARCH_PATH, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(
        arguments, cwd=cwd, input=stdin, capture_output=True, text=True, check=False, env=environment, errors="replace"
    )
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise GuestBuildError(
            f"{name} failed (status {done.returncode}): {words[-1] if words else 'it printed nothing'}"
        )
    return done.stdout
