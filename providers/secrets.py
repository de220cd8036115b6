"""Sealing config secrets: the key lives outside the database, several keys allow rotation."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from providers.base import AuthenticationFailed


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key.strip()) for key in settings.KVWEB_SEAL_KEYS if key.strip()])


def seal(secrets: Mapping[str, str]) -> str:
    """One sealed text for all secret fields; empty when there are none."""
    if not secrets:
        return ""
    return _box().encrypt(json.dumps(dict(secrets), sort_keys=True).encode()).decode()


def unseal(sealed: str) -> dict[str, str]:
    """The secret fields again; raises AuthenticationFailed when no key fits (a restored database, a lost key)."""
    if not sealed:
        return {}
    try:
        opened = _box().decrypt(sealed.encode())
    except InvalidToken:
        raise AuthenticationFailed(
            "The stored credentials cannot be opened with the portal's keys; enter them again."
        ) from None
    secrets: dict[str, str] = json.loads(opened)
    return secrets


def rotate(sealed: str) -> str:
    """The same secrets under the newest key."""
    return _box().rotate(sealed.encode()).decode() if sealed else ""
