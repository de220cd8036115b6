"""The entry point of the transfer process for an ASGI server: the same application, with room for chunks in memory."""

from django.conf import settings

from kvweb.asgi import application

#: A chunk is checked before any of it is written, so a file on the way would only be one copy more. In the ordinary web
#: process bodies this large stay out of memory.
settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 17 * 1024 * 1024

__all__ = ["application"]
