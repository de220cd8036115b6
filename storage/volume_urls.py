from django.urls import path

from storage import volume_views

app_name = "volumes"

urlpatterns = [
    path("create", volume_views.create, name="create"),
    path("read", volume_views.read, name="read"),
    *volume_views.PAGES.urls,
]
