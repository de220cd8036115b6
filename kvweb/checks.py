"""System checks: what would go wrong in production, each with an id and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from kvweb.settings.env import text
from providers.registry import broken


@register(Tags.security)
def seal_keys(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    del app_configs, kwargs
    try:
        for key in settings.KVWEB_SEAL_KEYS:
            Fernet(key.strip())
    except ValueError:
        return [
            Error(
                "A key in KVWEB_SEAL_KEYS cannot be used.",
                hint="Make one with: python -c "
                "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
                id="kvweb.E001",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def production(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    del app_configs, kwargs
    found: list[CheckMessage] = []
    if not text("KVWEB_SECRET_KEY") and not text("KVWEB_SECRET_KEY_FILE"):
        found.append(
            Caution(
                "Django's secret key is kept beside the database.",
                hint="Set KVWEB_SECRET_KEY_FILE to a file that only the portal's user can read.",
                id="kvweb.W001",
            )
        )
    if not text("KVWEB_SEAL_KEYS") and not text("KVWEB_SEAL_KEYS_FILE"):
        found.append(
            Caution(
                "The keys that seal provider credentials are kept beside the database.",
                hint="Set KVWEB_SEAL_KEYS_FILE to a file outside the portal's home, and back it up on its own.",
                id="kvweb.W002",
            )
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        found.append(
            Caution(
                "The database is SQLite.",
                hint="Set KVWEB_DATABASE_URL to a PostgreSQL database when several people work at once.",
                id="kvweb.W003",
            )
        )
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        found.append(
            Error(
                "The portal answers under every host name.",
                hint="Set KVWEB_ALLOWED_HOSTS to the portal's host name.",
                id="kvweb.E002",
            )
        )
    return found


@register
def kinds(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    del app_configs, kwargs
    return [
        Caution(f"The provider kind “{kind}” cannot be used: {reason}", hint="See docs/providers/.", id="kvweb.W010")
        for kind, reason in broken().items()
    ]


@register
def assets(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    del app_configs, kwargs
    if not settings.NODE_MODULES.is_dir():
        return [Caution("The pages' libraries are not installed.", hint="Run: make up, or npm ci.", id="kvweb.W011")]
    return []
