"""`make check`: everything that can be known without running the portal; goes on after a failure, fails at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tools.place import ROOT
from tools.terminal import say

BIN = Path(sys.executable).parent

STEPS: list[tuple[str, list[str]]] = [
    ("format", [str(BIN / "ruff"), "format", "--check", "--quiet"]),
    ("lint", [str(BIN / "ruff"), "check", "--quiet"]),
    ("types", [sys.executable, "-m", "mypy"]),
    ("imports", [str(BIN / "lint-imports"), "--no-cache"]),
    ("django", [sys.executable, "manage.py", "check"]),
    ("migrations", [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]),
]


def main() -> int:
    os.chdir(ROOT)
    # A home that stays: some of the tools end without running what would take a scratch one away.
    home = ROOT / "var" / "cache" / "check-home"
    home.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, "KVWEB_ENV": "test", "KVWEB_HOME": str(home)}
    failed: list[str] = []
    for name, command in STEPS:
        began = time.monotonic()
        # One output for both, so that a tool's lines stay in their order.
        done = subprocess.run(
            command, env=variables, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        seconds = time.monotonic() - began
        if done.returncode == 0:
            say(name, f"ok ({seconds:.1f} s)")
        else:
            failed.append(name)
            say(name, f"failed ({seconds:.1f} s)")
            print(done.stdout, flush=True)
    if failed:
        say("check", f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
