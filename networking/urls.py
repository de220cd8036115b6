from django.urls import path

from networking import views

app_name = "networks"

urlpatterns = [
    path("create", views.create, name="create"),
    path("look", views.look, name="look"),
    path("<uuid:uuid>/edit", views.edit, name="edit"),
    path("<uuid:uuid>/read", views.read, name="read"),
    *views.PAGES.urls,
]
