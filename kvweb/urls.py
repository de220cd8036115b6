"""The whole URL map on one screen: one include per app."""

from django.urls import include, path

urlpatterns = [
    path("", include("kvweb.portal.urls")),
]
