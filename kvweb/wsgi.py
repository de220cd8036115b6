"""The web entry point for a WSGI server; pages work, the event stream falls back to asking."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvweb.settings")

application = get_wsgi_application()
