"""A portal's Django inside the measuring process, with a database of its own that is gone afterwards."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile


@functools.cache
def django_here() -> None:
    """Set Django up once; every measure of this process shares the database."""
    home = tempfile.mkdtemp(prefix="kvweb-bench-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(
        KVWEB_HOME=home,
        KVWEB_ENV="development",
        DJANGO_SETTINGS_MODULE="kvweb.settings",
        KVWEB_REDIS_URL=f"unix://{home}/nobody-listens.sock",
        KVWEB_LOG_LEVEL="ERROR",
    )
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
