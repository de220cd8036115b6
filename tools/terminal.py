"""What `make up` prints: one line for each thing that happened, with the name of the process before it."""

from __future__ import annotations

import os
import sys

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_given: dict[str, int] = {}


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def say(name: str, sentence: str) -> None:
    label = f"{name:<9}"
    if _coloured():
        colour = _given.setdefault(name, _COLOURS[len(_given) % len(_COLOURS)])
        label = f"\x1b[{colour}m{label}\x1b[0m"
    try:
        print(f"  {label} {sentence}", flush=True)
    except BrokenPipeError:
        # The terminal is gone; the processes still have to be stopped in order, and nobody is left to read.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - lives as long as the process


def banner(lines: list[str]) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if _coloured() else ("", "")
    print("", *(f"  {bold}{line}{plain}" for line in lines), "", sep="\n", flush=True)
