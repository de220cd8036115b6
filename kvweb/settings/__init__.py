"""`kvweb.settings` always works: KVWEB_ENV picks development (default), test or production."""

from kvweb.settings.env import choice

match choice("KVWEB_ENV", ("development", "test", "production"), default="development"):
    case "production":
        from kvweb.settings.production import *  # noqa: F403
    case "test":
        from kvweb.settings.test import *  # noqa: F403
    case _:
        from kvweb.settings.development import *  # noqa: F403
