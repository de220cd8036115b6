"""Everything, with defaults that run on a laptop without configuration; the other files only override."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet
from django.core.management.utils import get_random_secret_key

from kvweb.settings.celery import *  # noqa: F403
from kvweb.settings.consoles import *  # noqa: F403
from kvweb.settings.database import database
from kvweb.settings.env import kept_secret, number, text, words
from kvweb.settings.images import *  # noqa: F403
from kvweb.settings.logging import *  # noqa: F403
from kvweb.settings.metrics import *  # noqa: F403
from kvweb.settings.security import *  # noqa: F403

BASE_DIR = Path(__file__).resolve().parents[2]

#: Where all state lives: database, keys, sockets, caches. Ignored by git when it is the default.
KVWEB_HOME = Path(text("KVWEB_HOME") or BASE_DIR / "var").resolve()
KVWEB_HOST = text("KVWEB_HOST", "127.0.0.1")
KVWEB_PORT = int(number("KVWEB_PORT", 8000))

SECRET_KEY = kept_secret("KVWEB_SECRET_KEY", KVWEB_HOME / "keys" / "django", get_random_secret_key())
#: Keys that seal provider secrets, newest first, separated by commas: the first seals, all unseal.
KVWEB_SEAL_KEYS = kept_secret("KVWEB_SEAL_KEYS", KVWEB_HOME / "keys" / "seal", Fernet.generate_key().decode()).split(
    ","
)

#: Where serial lines are kept, a folder a machine; read by the portal, written by the console service.
SERIAL_LOG_DIR = KVWEB_HOME / "serial"

DEBUG = False
ALLOWED_HOSTS = words("KVWEB_ALLOWED_HOSTS", ["*"])
#: Origins, beside the request's own host, from which forms and consoles are accepted ("https://portal.example").
CSRF_TRUSTED_ORIGINS = words("KVWEB_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "django_filters",
    "django_celery_beat",
    "kvweb.ui",
    "kvweb.events",
    "kvweb.audit",
    "kvweb.accounts",
    "kvweb.api",
    "kvweb.jobs",
    "providers",
    "networking",
    "storage",
    "vms",
    "kvweb.portal",
]

MIDDLEWARE = [
    "kvweb.metrics.requests.CountRequests",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "kvweb.ui.middleware.SecurityHeaders",
    "kvweb.ui.middleware.Fragments",
    "kvweb.ui.middleware.TimeZone",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "kvweb.audit.context.Actor",
]

ROOT_URLCONF = "kvweb.urls"
ASGI_APPLICATION = "kvweb.asgi.application"
WSGI_APPLICATION = "kvweb.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "kvweb.ui.context.portal",
            ],
        },
    }
]

DATABASES = {"default": database(text("KVWEB_DATABASE_URL"), KVWEB_HOME / "kvweb.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"

CACHES = {
    "default": {
        "BACKEND": "kvweb.events.cache.SteadyCache",
        "LOCATION": REDIS_URL,  # noqa: F405
        "OPTIONS": {"socket_timeout": 1.0, "socket_connect_timeout": 0.5},
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = text("KVWEB_TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = KVWEB_HOME / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
#: Third-party assets are served straight from node_modules: nothing of theirs is committed or copied.
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/tabler", NODE_MODULES / "@tabler/core/dist"),
    ("vendor/htmx", NODE_MODULES / "htmx.org/dist"),
    ("vendor/novnc", NODE_MODULES / "@novnc/novnc"),
    ("vendor/xterm", NODE_MODULES / "@xterm/xterm"),
    ("vendor/xterm-fit", NODE_MODULES / "@xterm/addon-fit/lib"),
    ("vendor/uplot", NODE_MODULES / "uplot/dist"),
    ("vendor/xterm-search", NODE_MODULES / "@xterm/addon-search/lib"),
]
WHITENOISE_USE_FINDERS = True
WHITENOISE_KEEP_ONLY_HASHED_FILES = False

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_ADAPTER = "kvweb.accounts.adapter.Adapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
#: None: the sign-in page asks "Remember me".
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_LOGOUT_ON_GET = False
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "kvweb.api.errors.problem_response",
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

#: How long a POST waits for its job to end before it answers "Starting…"; a click must be answered within 100 ms.
FAST_LANE_S = number("KVWEB_FAST_LANE_S", 0.03)
#: A running job whose worker has not been heard for this long is given up.
JOB_SILENCE_S = number("KVWEB_JOB_SILENCE_S", 45)
#: What an administrator types when no worker answers.
START_WORKER = "make up"
#: How long the event stream stays open before the browser asks anew, so that changed rights take hold.
STREAM_LIFE_S = number("KVWEB_STREAM_LIFE_S", 240)
