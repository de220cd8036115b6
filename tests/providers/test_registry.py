"""Kinds are found beside the registry and by entry points; a broken one is told and takes nothing down."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from providers import registry
from providers.base import NotFound, NotSupported, Plugin
from providers.fake.plugin import PLUGIN

MANIFEST = """
from dataclasses import replace
from providers.fake.plugin import PLUGIN
PLUGIN = replace(PLUGIN, kind="{kind}", aliases=("acme-cloud",))
"""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    registry.forget()
    yield
    registry.forget()


def announce(monkeypatch: pytest.MonkeyPatch, folder: Path, **packages: str) -> None:
    """Install outside packages: name of the entry point → source of its module."""
    points = []
    for name, source in packages.items():
        (folder / f"{name}_outside.py").write_text(source)
        points.append(EntryPoint(name, f"{name}_outside:PLUGIN", registry.ENTRY_POINT_GROUP))
        monkeypatch.delitem(sys.modules, f"{name}_outside", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(registry, "entry_points", lambda group: points)


def test_kinds_in_the_folder_are_found_in_order() -> None:
    kinds = list(registry.plugins())
    assert "fake" in kinds
    assert kinds == sorted(kinds)
    assert all(isinstance(plugin, Plugin) for plugin in registry.plugins().values())


def test_every_kind_of_this_project_can_be_imported() -> None:
    assert dict(registry.broken()) == {}


def test_they_are_looked_for_once() -> None:
    assert registry.plugins() is registry.plugins()


def test_a_kind_is_found_by_its_alias() -> None:
    assert registry.plugin("simulated") is registry.plugin("fake")


def test_an_unknown_kind_is_not_found_with_a_list_of_the_known() -> None:
    with pytest.raises(NotFound, match="fake"):
        registry.plugin("no-such-kind")


def test_an_outside_package_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    announce(monkeypatch, tmp_path, acme=MANIFEST.format(kind="acme"))
    assert registry.plugin("acme").kind == "acme"
    assert registry.plugin("acme-cloud").kind == "acme"


def test_a_broken_package_is_told_and_the_others_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    announce(
        monkeypatch,
        tmp_path,
        boom="raise RuntimeError('no luck')",
        missing="import no_such_sdk",
        empty="",
        odd="PLUGIN = 7",
        wrong=MANIFEST.format(kind="other"),
    )
    reasons = registry.broken()
    assert set(reasons) == {"boom", "missing", "empty", "odd", "wrong"}
    assert "no luck" in reasons["boom"]
    assert "no_such_sdk" in reasons["missing"]
    assert "other" in reasons["wrong"]
    assert "fake" in registry.plugins()
    with pytest.raises(registry.UnknownKind, match="no luck"):
        registry.plugin("boom")


def test_an_outside_package_cannot_take_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = registry.plugin("fake")
    registry.forget()
    announce(monkeypatch, tmp_path, fake=MANIFEST.format(kind="fake"))
    assert registry.plugin("fake").aliases == own.aliases
    assert "taken" in registry.broken()["fake"]


def test_finding_kinds_imports_no_driver_and_no_sdk() -> None:
    import subprocess

    program = (
        "import sys; from providers.registry import plugins; plugins(); "
        "bad = [name for name in sys.modules if name.endswith('.driver') and name != 'providers.base.driver' "
        "or name.partition('.')[0] in {'libvirt', 'boto3', 'django'}]; print(bad); sys.exit(bool(bad))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("driver", "sentence"),
    [
        ("a_library_that_nobody_has.driver:Driver", "is not installed"),
        ("providers.a_file_that_went:Driver", "Restart the portal."),
    ],
)
def test_a_driver_that_cannot_be_loaded_says_what_to_do(driver: str, sentence: str) -> None:
    with pytest.raises(NotSupported, match=sentence):
        replace(PLUGIN, driver=driver).open(PLUGIN.config())
