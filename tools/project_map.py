"""Writes the tree of MAP.md from the first line of each file, so that the map is what the files say of themselves.

`python -m tools.project_map` writes it, `--check` only says whether it is current.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

from tools.place import ROOT

MAP = ROOT / "MAP.md"
BEGIN, END = "<!-- tree: made by `python -m tools.project_map` -->", "<!-- end of tree -->"
#: Files whose kind says everything: migrations, empty packages, locks, templates (one line a folder).
SILENT = re.compile(
    r"(^|/)(migrations/|__pycache__/)|(^|/)(__init__|apps|urls)\.py$|\.lock$|package(-lock)?\.json$|requirements/.*\.txt$"
    r"|^(\.editorconfig|\.npmrc|LICENSE)$|\.(svg|service|target)$|HOST_PACKAGES$|^templates/[^/]*\.html$"
)
FOLDERS = {
    "templates/account": "sign-in, passwords, second factor (django-allauth's pages in our look)",
    "templates/accounts": "account, projects, people",
    "templates/allauth": "the elements that django-allauth's pages are made of",
    "templates/fields": "one form field, with its help and its errors",
    "templates/jobs": "job list and job page",
    "templates/mfa": "second factor",
    "templates/parts": "the page frame's parts: navigation, top bar, messages, dialogs",
    "templates/portal": "dashboard",
    "templates/providers": "provider list, page, forms",
    "templates/socialaccount": "sign-in through others",
    "templates/usersessions": "open sessions",
    "templates/vms": "machine list, page, create page, console page; a leading _ marks a part that may be sent alone",
    "guest/files": "what is copied into the guest as it is: its start, its seed reader, its services",
}


def tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(path for path in done.stdout.splitlines() if (ROOT / path).is_file())


def sentence(path: Path) -> str:
    """The first line that a file says of itself; empty when it says nothing."""
    text = path.read_text(errors="replace")
    if path.suffix == ".py":
        docstring = ast.get_docstring(ast.parse(text)) or ""
        return docstring.split("\n", 1)[0].strip()
    first = text.lstrip().removeprefix("#!/usr/bin/env bash\n").removeprefix("#!/bin/sh\n").lstrip("\n")
    if found := re.match(r"(?://|#+|/\*+|\{#|<!--)\s*(.*?)\s*(?:\*/|#\}|-->)?\s*$", first.split("\n", 1)[0]):
        return found[1]
    return ""


def tree() -> str:
    lines: list[str] = []
    shown = [path for path in tracked() if not SILENT.search(path) and not path.startswith(("tests/", "docs/"))]
    shown.sort(key=lambda path: (str(Path(path).parent).replace(".", ""), path))
    told: set[str] = set()
    for folder, paths in groupby(shown, key=lambda path: str(Path(path).parent)):
        whole = next((name for name in FOLDERS if folder == name or folder.startswith(f"{name}/")), None)
        if whole is not None:
            if whole not in told:
                lines.append(f"\n**{whole}/** – {FOLDERS[whole]}\n")
                told.add(whole)
            continue
        init = ROOT / folder / "__init__.py"
        about = sentence(init) if init.exists() else ""
        title = "top level" if folder == "." else f"{folder}/"
        lines.append(f"\n**{title}**{f' – {about}' if about else ''}\n")
        for path in paths:
            said = sentence(ROOT / path)
            lines.append(f"- `{Path(path).name}`{f' – {said}' if said else ''}")
    return "\n".join(lines).strip() + "\n"


def current() -> str:
    """MAP.md as it should be."""
    before, _, rest = MAP.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tree()}\n{END}{after}"


def main() -> int:
    wanted = current()
    if "--check" in sys.argv:
        return 0 if MAP.read_text() == wanted else 1
    MAP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
