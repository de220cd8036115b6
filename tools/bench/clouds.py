"""What a kind brings to be measured as a cloud: a peer with a thousand VMs, and how kcli would list the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from providers.base import Driver

#: A virtual environment with kcli and its SDKs (`pip install kcli pyvmomi boto3 …`), outside the repository.
KCLI = "KVWEB_BENCH_KCLI"
_PATIENCE_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A peer that runs."""

    driver: Driver
    calls: Callable[[], int]
    """Vendor calls so far."""
    kcli: str = ""
    """A script for kcli's interpreter that prints how many seconds one list takes; empty: it cannot be pointed here."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """What the script finds in its environment."""


Cloud = Callable[[int], AbstractContextManager[Room]]


def seconds_of_kcli(room: Room) -> float | None:
    """How long kcli takes for the same list, ten minutes for one that takes longer; None without kcli."""
    python = Path(os.environ.get(KCLI, ""), "bin", "python")
    if not room.kcli or not os.environ.get(KCLI) or not python.exists():
        return None
    try:
        done = subprocess.run(
            [str(python), "-c", room.kcli],
            env={**os.environ, **room.arguments},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        print(f"  kcli was stopped after {_PATIENCE_S} s, which counts as its time.", file=sys.stderr)
        return float(_PATIENCE_S)
    except subprocess.CalledProcessError as exc:
        # Its SDK for this kind may be missing; the kind itself is measured all the same.
        print(f"  kcli did not list it: {exc.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])
