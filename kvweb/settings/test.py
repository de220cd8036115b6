"""Tests: a scratch home of this run, quick password hashes, no broker unless a test starts one."""

import os
import tempfile

os.environ.setdefault("KVWEB_HOME", tempfile.mkdtemp(prefix="kvweb-test-home-"))

from kvweb.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
FAST_LANE_S = 0.0
ACCOUNT_RATE_LIMITS = False
