"""The documents say what is there: the map's tree, a page per kind, a heading per setting, the system checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from kvweb.accounts.access import VERBS
from kvweb.settings import env
from providers.registry import plugins
from tools import docs_roles, docs_settings, docs_tables, project_map

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


def test_every_setting_and_every_right_has_its_meaning_and_no_other() -> None:
    assert set(docs_settings.MEANINGS) == set(docs_settings.known())
    assert set(docs_roles.MEANINGS) == VERBS


@pytest.mark.parametrize("page", ["providers/capabilities.md", "settings.md", "people.md"])
def test_tables_that_come_from_the_code_are_current(page: str) -> None:
    path = ROOT / "docs" / page
    assert path.read_text() == docs_tables.pages()[path], "Run: python -m tools.docs_tables"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert not [page for page in pages if page != "README.md" and f"]({page}" not in index]


def test_every_picture_is_small() -> None:
    sizes = [path.stat().st_size for path in ROOT.glob("docs/screenshots/*.png")]
    assert sizes
    assert max(sizes) <= 150 * 1024
    assert sum(sizes) <= 1.5 * 1024**2


def test_every_system_check_is_explained() -> None:
    ids = set(re.findall(r'id="(kvweb\.[EW]\d+)"', (ROOT / "kvweb" / "checks.py").read_text()))
    page = (ROOT / "docs" / "settings.md").read_text()
    assert ids
    assert not [check for check in ids if check not in page]


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have in addresses."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_links_between_documents_lead_somewhere() -> None:
    links = [
        (page, page.parent / target if target else page, anchor)
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text())
        if not target.startswith(("http", "mailto"))
    ]
    assert not [
        f"{page.relative_to(ROOT)} → {target.name}#{anchor}"
        for page, target, anchor in links
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]


def test_the_project_speaks_of_itself_alone() -> None:
    """No word of a workshop's tooling, of a registry's host or of somebody's machine in any file."""
    words = re.compile(r"/work/|\.\./shared|pypi\.org|files\.pythonhosted|registry\.npmjs|deb\.debian\.org")
    found = [
        path
        for path in project_map.tracked()
        if path != "tests/architecture/test_docs.py" and words.search((ROOT / path).read_text(errors="ignore"))
    ]
    assert not found
