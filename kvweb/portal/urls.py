from django.urls import path

from kvweb.portal import health, stream

urlpatterns = [
    path("health", health.health, name="health"),
    path("ready", health.ready, name="ready"),
    path("events", stream.events, name="events"),
]
