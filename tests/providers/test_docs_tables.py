"""The generated page says what the code says."""

from __future__ import annotations

from dataclasses import replace

from providers.base import Capabilities
from providers.fake.plugin import PLUGIN
from providers.kcontract.methods import all_methods
from providers.registry import plugins
from tools.docs_tables import PAGE, main, render


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(plugins()), "Run python -m tools.docs_tables"
    assert main(["--check"]) == 0


def test_the_page_has_every_method_and_facet() -> None:
    page = render({"fake": PLUGIN})
    assert all(f"`{name}`" in page for name in all_methods())
    assert all(f"### {facet}\n" in page for facet in Capabilities.model_fields)


def test_a_method_counts_only_where_its_facet_was_declared() -> None:
    bare = replace(PLUGIN, kind="bare", declares=Capabilities())
    page = render({"bare": bare, "fake": PLUGIN})
    assert "| `list` | yes | yes |" in page
    assert "| `create_snapshot` | – | yes |" in page
