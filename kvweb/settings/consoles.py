"""Consoles: how long they may live and how many there may be. Times in seconds."""

from __future__ import annotations

from kvweb.settings.env import number

#: A console ends after this time, whatever happens in it; the page asks for a new one.
CONSOLE_LIFE_S = number("KVWEB_CONSOLE_LIFE_S", 12 * 3600)
#: … and after this time without a key or a mouse movement; 0 means never.
CONSOLE_IDLE_S = number("KVWEB_CONSOLE_IDLE_S", 4 * 3600)
#: How long a grant waits for its one connection.
CONSOLE_GRANT_S = 60
#: Who may connect quickly again and again is a script.
CONSOLE_GRANTS_PER_MINUTE = int(number("KVWEB_CONSOLE_GRANTS_PER_MINUTE", 60))
CONSOLES_PER_USER = int(number("KVWEB_CONSOLES_PER_USER", 24))
CONSOLES_PER_VM = int(number("KVWEB_CONSOLES_PER_VM", 12))
CONSOLES_MAX = int(number("KVWEB_CONSOLES_MAX", 4000))
#: Connections that have not shown a grant yet.
CONSOLE_GUESTS_MAX = 512
#: How often open consoles are checked against sessions, rights and machines: what is taken back ends within 5 seconds,
#: also when nobody announces it.
CONSOLE_RECHECK_S = 4.0
#: How often the provider is asked whether the console still is where it was, where few are open; events ask at once.
CONSOLE_ENDPOINT_CHECK_S = 4.0
CONSOLE_HANDSHAKE_S = 10.0
CONSOLE_PROVIDER_S = 5.0
CONSOLE_PING_S = 30.0
#: What a machine's serial line said: at most so much of each machine, and so long after the last of it.
SERIAL_LOG_BYTES = int(number("KVWEB_SERIAL_LOG_BYTES", 1024 * 1024))
SERIAL_LOG_DAYS = number("KVWEB_SERIAL_LOG_DAYS", 30)
#: Serial lines that the console service listens to while nobody watches; each holds one connection to its provider.
SERIAL_LISTENERS_MAX = int(number("KVWEB_SERIAL_LISTENERS_MAX", 200))
#: Guest links last at most so long, and so many consoles may be open by one of them at the same time.
GUEST_LINK_MAX_HOURS = number("KVWEB_GUEST_LINK_MAX_HOURS", 72)
CONSOLES_PER_GUEST_LINK = int(number("KVWEB_CONSOLES_PER_GUEST_LINK", 3))
