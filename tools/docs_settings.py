"""The table of settings in docs/settings.md: every variable that the settings read, its default, what it means."""

from __future__ import annotations

import importlib

from kvweb.settings import env

#: One line each, in the order of the page; a test fails when one is missing or not read any more.
MEANINGS: dict[str, str] = {
    "KVWEB_ENV": "`development`, `test` or `production`: which set of defaults holds",
    "KVWEB_HOME": "folder of all state: database, keys, sockets, logs; empty: `var/` in the tree",
    "KVWEB_HOST": "address that `make up` listens on; `0.0.0.0` for everybody",
    "KVWEB_PORT": "port that `make up` listens on",
    "KVWEB_TIME_ZONE": "time zone of times on pages where the browser has told none, as in `Europe/Vienna`",
    "KVWEB_LOG_LEVEL": "`DEBUG`, `INFO`, `WARNING` or `ERROR`",
    "KVWEB_DEBUG": "development only: pages of errors with their whole story, for programmers",
    "KVWEB_ALLOWED_HOSTS": "host names under which the portal may be opened; required in production, empty there",
    "KVWEB_TRUSTED_ORIGINS": "origins besides the portal's own that may send forms and open consoles, as in "
    "`https://portal.example`",
    "KVWEB_SSL_REDIRECT": "production only: answer plain HTTP with a redirect to HTTPS",
    "KVWEB_HSTS_SECONDS": "production only: how long browsers must insist on HTTPS; 0 switches it off",
    "KVWEB_DATABASE_URL": "database, as in `postgresql://user:password@host/name`; empty: SQLite in the home",
    "KVWEB_REDIS_URL": "Redis, as in `unix:///run/redis/redis-server.sock`; `make up` starts one and sets this",
    "KVWEB_SECRET_KEY": "signs sessions and forms; empty: made once, kept in `keys/django` of the home",
    "KVWEB_SECRET_KEY_FILE": "file that holds it instead",
    "KVWEB_SEAL_KEYS": "keys that seal provider passwords, newest first, with commas between; empty: made once, kept "
    "in `keys/seal` of the home",
    "KVWEB_SEAL_KEYS_FILE": "file that holds them instead",
    "KVWEB_EMAIL_HOST": "production only: mail server for forgotten passwords; empty: mails go to the log",
    "KVWEB_CONSOLE_LIFE_S": "a console ends after this many seconds, whatever happens in it",
    "KVWEB_CONSOLE_IDLE_S": "… or after this many without a key or the mouse; 0: never",
    "KVWEB_CONSOLE_GRANTS_PER_MINUTE": "how often one person may connect in a minute",
    "KVWEB_CONSOLES_PER_USER": "consoles that one person may have open",
    "KVWEB_CONSOLES_PER_VM": "consoles that one machine may have open",
    "KVWEB_CONSOLES_MAX": "consoles that all together may have open",
    "KVWEB_CONSOLES_PER_GUEST_LINK": "consoles that one guest link may have open",
    "KVWEB_GUEST_LINK_MAX_HOURS": "the longest time that a guest link may be made for, in hours",
    "KVWEB_SERIAL_LOG_BYTES": "how much is kept of what each machine's serial line said",
    "KVWEB_SERIAL_LOG_DAYS": "how long a serial log is kept after the last of it, in days",
    "KVWEB_SERIAL_LISTENERS_MAX": "serial lines that are listened to while nobody watches",
    "KVWEB_IMAGE_HTTP": "whether images may be fetched over plain http too",
    "KVWEB_IMAGE_NETWORKS": "private networks that images may be fetched from, as in `10.0.0.0/8`, with commas between",
    "KVWEB_IMAGE_MAX_GIB": "the largest image, packed or unpacked",
    "KVWEB_IMAGE_UPLOADS_PER_USER": "uploads that one person may have begun at a time",
    "KVWEB_IMAGE_UPLOAD_KEEP_S": "how long an upload waits for its next piece before it is given up",
    "KVWEB_FAST_LANE_S": "how long a click waits for its job before it answers “Starting”",
    "KVWEB_JOB_SILENCE_S": "a job whose worker was silent for this long is given up",
    "KVWEB_STREAM_LIFE_S": "how long a page's event stream stays open before it asks anew",
    "KVWEB_METRICS_HISTORY": "`yes`: machines are measured every minute, also while nobody looks at their graphs",
    "KVWEB_METRICS_TOKEN": "what Prometheus shows to read `/metrics`; empty: only the portal's own machine may",
    "KVWEB_METRICS_TOKEN_FILE": "file that holds it instead",
    "KVWEB_METRICS_PER_VM": "`yes`: each machine by its name on `/metrics`",
}


def known() -> dict[str, str]:
    """Name → default of all variables, whichever environment reads them."""
    for module in ("development", "production"):
        importlib.import_module(f"kvweb.settings.{module}")
    # Of the development environment: what production changes is said in the meaning.
    return env.KNOWN | {"KVWEB_ENV": "development", "KVWEB_ALLOWED_HOSTS": "*"}


def table() -> str:
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    defaults = known()
    for name in sorted(defaults, key=[*MEANINGS, *defaults].index):
        default = f"`{defaults[name]}`" if defaults[name] else "empty"
        lines.append(f"| `{name}` | {default} | {MEANINGS.get(name, '')} |")
    return "\n".join(lines)
