"""The lock files: what the code imports is in them, and they name no address."""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tools.place import ROOT

OURS = ("kvweb", "vms", "storage", "networking", "providers", "guest", "tools")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> set[str]:
    return {plain(name) for lock in LOCKS for name in re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)}


def imported(file: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_everything_imported_is_locked() -> None:
    packages = metadata.packages_distributions()
    have = locked()
    missing: dict[str, str] = {}
    for folder in OURS:
        for file in (ROOT / folder).rglob("*.py"):
            for name in imported(file) - set(sys.stdlib_module_names) - {*OURS, "tests"}:
                if not {plain(package) for package in packages.get(name, [name])} & have:
                    missing[name] = str(file.relative_to(ROOT))
    assert missing == {}


@pytest.mark.parametrize("file", [*LOCKS, ROOT / "package-lock.json"], ids=lambda file: file.name)
def test_a_lock_names_no_address_to_fetch_from(file: Path) -> None:
    text = file.read_text()
    if file.suffix == ".json":
        assert '"resolved"' not in text
    else:
        assert "://" not in text
        assert "--index-url" not in text
        assert "--hash=sha256:" in text
