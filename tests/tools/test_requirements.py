"""The lock files: what the code imports is in them, and they name no address."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tools.place import ROOT

OURS = ("kvweb", "vms", "storage", "networking", "providers", "guest", "tools")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


#: A process of the portal loads its code and opens its line to the broker, in an environment that lacks some packages.
START = """
import importlib.abc, json, sys
lacking = set(json.loads(sys.argv[1]))
class Lacking(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in lacking:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Lacking())
import django
django.setup()
from django.urls import get_resolver
get_resolver().url_patterns
import celery.apps.worker, celery.concurrency.prefork, celery.concurrency.thread, django_celery_beat.schedulers, uvicorn
from kvweb.celery import app
app.finalize()
app.loader.import_default_modules()
app.connection_for_write("redis://").transport
"""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> set[str]:
    return {name for lock in LOCKS for name in names_in(lock)}


def names_in(lock: Path) -> set[str]:
    return {plain(name) for name in re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)}


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


def test_the_portal_loads_with_nothing_but_what_the_first_command_installs() -> None:
    """Tests' own packages lie in the same environment and would hide what base.txt forgot."""
    have = names_in(ROOT / "requirements" / "base.txt")
    packages = metadata.packages_distributions().items()
    lacking = [name for name, owners in packages if not {plain(owner) for owner in owners} & have]
    assert "pytest" in lacking
    done = subprocess.run(
        [sys.executable, "-c", START, json.dumps(lacking)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "kvweb.settings", "KVWEB_ENV": "test"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("file", [*LOCKS, ROOT / "package-lock.json"], ids=lambda file: file.name)
def test_a_lock_names_no_address_to_fetch_from(file: Path) -> None:
    text = file.read_text()
    if file.suffix == ".json":
        assert '"resolved"' not in text
    else:
        assert "://" not in text
        assert "--index-url" not in text
        assert "--hash=sha256:" in text
