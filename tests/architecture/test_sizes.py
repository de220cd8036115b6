"""Prints the largest files, to be looked at with curiosity; fails only for one that is too long to read at once."""

from __future__ import annotations

from pathlib import Path

from tools.project_map import tracked

ROOT = Path(__file__).parents[2]
MOST_LINES = 700


def test_a_file_can_be_read_in_one_sitting() -> None:
    sizes = {
        path: len((ROOT / path).read_text().splitlines())
        for path in tracked()
        if path.endswith((".py", ".js", ".css", ".html")) and "/migrations/" not in path
    }
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    print("\n".join(f"{lines:5} {path}" for path, lines in largest))
    assert largest[0][1] <= MOST_LINES
