from django.urls import path

from vms import session_views

app_name = "consoles"

urlpatterns = [
    path("", session_views.console_list, name="list"),
    path("rows", session_views.rows, name="rows"),
    path("<uuid:uuid>/close", session_views.close, name="close"),
]
