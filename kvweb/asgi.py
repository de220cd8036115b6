"""The web entry point for an ASGI server; the event stream needs it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvweb.settings")

application = get_asgi_application()
