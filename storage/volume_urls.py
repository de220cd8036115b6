from django.urls import path

from storage import volume_views

app_name = "volumes"

urlpatterns = [
    path("create", volume_views.create, name="create"),
    path("read", volume_views.read, name="read"),
    path("<uuid:uuid>/upload", volume_views.upload, name="upload"),
    *volume_views.PAGES.urls,
]
