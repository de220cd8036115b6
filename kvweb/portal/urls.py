from django.urls import path

from kvweb.portal import exposition, health, stream, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("dashboard/part", views.dashboard_part, name="dashboard_part"),
    path("health", health.health, name="health"),
    path("ready", health.ready, name="ready"),
    path("metrics", exposition.metrics, name="metrics"),
    path("events", stream.events, name="events"),
]
