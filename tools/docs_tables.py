"""Write the tables of the documentation that come from the code: kinds of provider, settings, roles.

python -m tools.docs_tables            write docs/providers/capabilities.md, and the tables in settings.md and people.md
python -m tools.docs_tables --check    say whether they are what would be written; ends with 1 if not
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import django

from providers.base import Capabilities, Plugin
from providers.kcontract.methods import METHODS, never
from providers.registry import plugins

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "providers" / "capabilities.md"
BEGIN, END = "<!-- table: made by `python -m tools.docs_tables` -->", "<!-- end of table -->"
YES, NO = "yes", "–"

INTRODUCTION = """\
# What each kind of provider can do

This page is made from the code by `python -m tools.docs_tables`; a test fails when it differs. It shows what a kind
*declares*: the most it can ever do. A provider is probed when it is added, and may have less, for instance an older
version or an account with fewer rights; the portal shows only what was probed.
"""
METHODS_INTRODUCTION = """\
## Methods

The methods of [`Kbase`](../kbase.md) that really do their work; what has “–” answers a failure with a reason, or an
empty answer when it reads. The methods in the last table are part of the contract but no kind can do them.
"""
FEATURES_INTRODUCTION = """\
## Features

Facet by facet: “yes” for what may be done, words for the kinds of things that are known, numbers for limits.
"""


def render(kinds: Mapping[str, Plugin]) -> str:
    """The whole page for these kinds."""
    parts = [INTRODUCTION, _kinds(kinds), METHODS_INTRODUCTION, *_method_tables(kinds), FEATURES_INTRODUCTION]
    return "\n".join((*parts, *_feature_tables(kinds)))


def _kinds(kinds: Mapping[str, Plugin]) -> str:
    rows = [[f"`{kind}`", plugin.label, plugin.summary] for kind, plugin in kinds.items()]
    return _table(["Kind", "Name", "What it is"], rows)


def _method_tables(kinds: Mapping[str, Plugin]) -> Iterator[str]:
    for heading, methods in METHODS.items():
        real = {name: need for name, need in methods.items() if need is not never}
        rows = [[f"`{name}`", *_row(kinds, need)] for name, need in real.items()]
        yield f"### {heading}\n\n{_table(['Method', *kinds], rows)}"
    nobody = [f"`{name}`" for methods in METHODS.values() for name, need in methods.items() if need is never]
    yield f"### Nobody\n\n{', '.join(nobody)}\n"


def _row(kinds: Mapping[str, Plugin], need: Callable[[Capabilities], object]) -> list[str]:
    return [YES if need(plugin.declares) else NO for plugin in kinds.values()]


def _feature_tables(kinds: Mapping[str, Plugin]) -> Iterator[str]:
    for facet in Capabilities.model_fields:
        rows = [["(has it)", *_row(kinds, lambda can, facet=facet: getattr(can, facet) is not None)]]  # type: ignore[misc]
        names = {
            name
            for plugin in kinds.values()
            if (features := getattr(plugin.declares, facet)) is not None
            for name in type(features).model_fields
        }
        for name in sorted(names):
            cells = [_cell(getattr(getattr(plugin.declares, facet), name, None)) for plugin in kinds.values()]
            rows.append([name, *cells])
        yield f"### {facet}\n\n{_table(['Feature', *kinds], rows)}"


def _cell(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(each) for each in value)) or NO
    if isinstance(value, bool) or value is None:
        return YES if value else NO
    return str(value) if value else NO


def _table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def between(page: Path, table: str) -> str:
    """The page with this table between its marks, and all else as somebody wrote it."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no marks for its table.")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def pages() -> dict[Path, str]:
    """Every page that has something from the code, as it should be."""
    # Late: the tables of kinds need no Django, these two need it set up.
    from tools import docs_roles, docs_settings

    return {
        PAGE: render(plugins()),
        DOCS / "settings.md": between(DOCS / "settings.md", docs_settings.table()),
        DOCS / "people.md": between(DOCS / "people.md", docs_roles.table()),
    }


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvweb.settings")
    django.setup()
    stale = [page for page, text in pages().items() if not page.exists() or page.read_text() != text]
    if "--check" in arguments:
        for page in stale:
            sys.stderr.write(f"{page.name} is not up to date; run python -m tools.docs_tables\n")
        return 1 if stale else 0
    for page, text in pages().items():
        page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
