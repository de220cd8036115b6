"""The database: SQLite in the portal's home, or what KVWEB_DATABASE_URL names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url


def database(url: str, file: Path) -> dict[str, Any]:
    """Django's settings of one database; `url` is like "postgres://user:password@host/name", empty for SQLite."""
    if url:
        return dict(dj_database_url.parse(url, conn_max_age=600, conn_health_checks=True))
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            # SQLite has no row locks: a transaction that will write takes the write lock at its start, instead of
            # failing in the middle when another one was quicker.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728;",
        },
    }
