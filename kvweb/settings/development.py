"""Development, and what `make up` runs: one machine, SQLite, private Redis, plain HTTP."""

from kvweb.settings.base import *  # noqa: F403
from kvweb.settings.env import flag

DEBUG = flag("KVWEB_DEBUG")
