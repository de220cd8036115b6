"""Tests: a scratch home of this run, quick password hashes, no broker unless a test starts one."""

import atexit
import os
import shutil
import tempfile

if "KVWEB_HOME" not in os.environ:
    # Test workers inherit it, so that only the process that made it removes it.
    os.environ["KVWEB_HOME"] = tempfile.mkdtemp(prefix="kvweb-test-home-")
    atexit.register(shutil.rmtree, os.environ["KVWEB_HOME"], ignore_errors=True)

from kvweb.settings.base import *  # noqa: F403

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file and not memory: threads and processes of a test see the same rows under the same locks as in earnest.
    DATABASES["default"]["TEST"] = {"NAME": str(KVWEB_HOME / "test.sqlite3")}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
FAST_LANE_S = 0.0
ACCOUNT_RATE_LIMITS = False
#: Static files are looked for when one is asked for: every test client would list all of them, which takes 0.2 s.
WHITENOISE_AUTOREFRESH = True
