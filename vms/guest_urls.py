from django.urls import path

from vms import guest_views

app_name = "guest"

urlpatterns = [
    path("<uuid:uuid>", guest_views.page, name="page"),
    path("<uuid:uuid>/enter", guest_views.enter, name="enter"),
    path("<uuid:uuid>/grant", guest_views.grant, name="grant"),
]
