"""A migration that stands for older ones leaves what those leave: a new database and an upgraded one are the same."""

from __future__ import annotations

from typing import Any

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

Tables = dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]]


def tables(state: ProjectState) -> Tables:
    """Each table's columns, indexes and constraints. The order of columns is no one's concern."""
    return {key: (columns(model), rules(model)) for key, model in state.models.items()}


def columns(model: ModelState) -> dict[str, Any]:
    return {name: field.deconstruct()[1:] for name, field in model.fields.items()}


def rules(model: ModelState) -> dict[str, Any]:
    return {
        name: sorted(map(repr, value)) if isinstance(value, list) else value
        for name, value in model.options.items()
        if value
    }


def test_one_by_one_or_all_at_once_the_tables_are_the_same() -> None:
    at_once = MigrationLoader(None)
    one_by_one = MigrationLoader(None, replace_migrations=False)
    standing_in = {key for key, migration in one_by_one.disk_migrations.items() if migration.replaces}
    assert ("vms", "0001_squashed") in standing_in
    # What stands in for others is itself no step of the long way.
    steps = [key for key in one_by_one.graph.leaf_nodes() if key not in standing_in]
    assert tables(at_once.project_state()) == tables(one_by_one.project_state(steps))
