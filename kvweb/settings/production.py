"""Production: TLS in front, keys and database from the environment, refusing to start without them (see checks)."""

from kvweb.settings.base import *  # noqa: F403
from kvweb.settings.env import flag, number, text, words

START_WORKER = "systemctl start kvweb-worker"
ALLOWED_HOSTS = words("KVWEB_ALLOWED_HOSTS")

SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-kvweb_session"
CSRF_COOKIE_NAME = "__Host-kvweb_csrf"
SECURE_SSL_REDIRECT = flag("KVWEB_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = int(number("KVWEB_HSTS_SECONDS", 31_536_000))

EMAIL_HOST = text("KVWEB_EMAIL_HOST")
if EMAIL_HOST:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
