"""Queries of Django's that are compiled once: each console asks the same, and to write the SQL takes longest of all.

They are written with the models as all others are; what differs from one run to the next is a `Slot`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connections, router
from django.db.models import Field, Model, QuerySet, Value
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

#: A column's place, and what turns its value into Python's.
_Converters = list[tuple[int, list[Callable[..., Any]], Any]]


class Slot(Value):
    """The place of a value that is told by this name when the query runs."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(name, output_field=field)

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        del compiler, connection
        return "%s", (self,)

    def filled(self, values: Mapping[str, object], connection: Any) -> Any:
        return self.output_field.get_db_prep_value(values[self.value], connection)


class _Prepared:
    """What is compiled belongs to one connection, and each thread has its own."""

    def __init__(self, compile_for: Callable[[str], SQLCompiler], alias: Callable[[], str]) -> None:
        self._compile_for, self._alias = compile_for, alias
        self._here = threading.local()

    def _ready(self) -> tuple[SQLCompiler, str, Sequence[Any]]:
        alias = self._alias()
        connection = connections[alias]
        ready: tuple[SQLCompiler, str, Sequence[Any]] | None = getattr(self._here, alias, None)
        if ready is None or ready[0].connection is not connection:
            compiler = self._compile_for(alias)
            sql, slots = compiler.as_sql()
            ready = compiler, sql, slots
            setattr(self._here, alias, ready)
        return ready

    @staticmethod
    def _filled(slots: Sequence[Any], values: Mapping[str, object], connection: Any) -> list[Any]:
        return [each.filled(values, connection) if isinstance(each, Slot) else each for each in slots]


class Rows(_Prepared):
    """`make` gives a queryset of `values_list` with slots in it; it is called when the query is compiled."""

    def __init__(self, model: type[Model], make: Callable[[], QuerySet[Any, Any]]) -> None:
        super().__init__(
            lambda alias: make().using(alias).query.get_compiler(using=alias), lambda: router.db_for_read(model)
        )

    def first(self, **values: object) -> tuple[Any, ...] | None:
        compiler, sql, slots = self._ready()
        with compiler.connection.cursor() as cursor:
            cursor.execute(sql, self._filled(slots, values, compiler.connection))
            row = cursor.fetchone()
        if row is None:
            return None
        converted = list(row)
        for place, converters, expression in self._converters(compiler):
            for convert in converters:
                converted[place] = convert(converted[place], expression, compiler.connection)
        return tuple(converted)

    def _converters(self, compiler: SQLCompiler) -> _Converters:
        """What the database's values must go through; the same for each run."""
        known: tuple[SQLCompiler, _Converters] | None = getattr(self._here, "converters", None)
        if known is None or known[0] is not compiler:
            columns = [column[0] for column in compiler.select or ()]
            found = compiler.get_converters(columns)
            known = compiler, [(place, converters, expression) for place, (converters, expression) in found.items()]
            self._here.converters = known
        return known[1]


class Update(_Prepared):
    """One statement that changes the rows of `make`'s queryset to `to`."""

    def __init__(self, model: type[Model], make: Callable[[], QuerySet[Any, Any]], to: Mapping[str, Slot]) -> None:
        def compile_for(alias: str) -> SQLCompiler:
            query: Any = make().using(alias).query.chain(UpdateQuery)
            query.add_update_values(dict(to))
            compiler: SQLCompiler = query.get_compiler(using=alias)
            return compiler

        super().__init__(compile_for, lambda: router.db_for_write(model))

    def run(self, **values: object) -> int:
        """How many rows it changed."""
        compiler, sql, slots = self._ready()
        with compiler.connection.cursor() as cursor:
            cursor.execute(sql, self._filled(slots, values, compiler.connection))
            return int(cursor.rowcount)

    def run_all(self, runs: Sequence[Mapping[str, object]]) -> None:
        """The statement for each of `runs`, in one call."""
        compiler, sql, slots = self._ready()
        with compiler.connection.cursor() as cursor:
            cursor.executemany(sql, [self._filled(slots, values, compiler.connection) for values in runs])
