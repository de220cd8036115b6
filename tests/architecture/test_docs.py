"""The documents say what is there: the map's tree, a page per kind, a heading per setting, the system checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from kvweb.settings import env
from providers.registry import plugins
from tools import project_map

ROOT = Path(__file__).parents[2]


def test_the_map_shows_the_tree_as_it_is() -> None:
    assert project_map.MAP.read_text() == project_map.current(), "Run: python -m tools.project_map"


@pytest.mark.parametrize("kind", sorted(plugins()))
def test_every_kind_has_its_page(kind: str) -> None:
    assert (ROOT / "docs" / "providers" / f"{kind}.md").is_file()


def test_every_setting_is_in_the_table() -> None:
    assert settings.configured
    page = (ROOT / "docs" / "settings.md").read_text()
    missing = [name for name in env.KNOWN if f"`{name}`" not in page]
    assert not missing


def test_every_system_check_is_explained() -> None:
    ids = set(re.findall(r'id="(kvweb\.[EW]\d+)"', (ROOT / "kvweb" / "checks.py").read_text()))
    page = (ROOT / "docs" / "settings.md").read_text()
    assert ids
    assert not [check for check in ids if check not in page]


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http", "mailto")) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert not broken


def test_the_project_speaks_of_itself_alone() -> None:
    """No word of a workshop's tooling, of a registry's host or of somebody's machine in any file."""
    words = re.compile(r"/work/|\.\./shared|pypi\.org|files\.pythonhosted|registry\.npmjs|deb\.debian\.org")
    found = [
        path
        for path in project_map.tracked()
        if path != "tests/architecture/test_docs.py" and words.search((ROOT / path).read_text(errors="ignore"))
    ]
    assert not found
