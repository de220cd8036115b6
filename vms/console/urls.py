"""Part of the machines' map: included by vms.urls, so the names are "vms:console" and so on."""

from django.urls import path

from vms.console import views

urlpatterns = [
    path("<uuid:uuid>/console/<slug:kind>", views.page, name="console"),
    path("<uuid:uuid>/console/<slug:kind>/state", views.state, name="console_state"),
    path("<uuid:uuid>/console/<slug:kind>/grant", views.grant, name="console_grant"),
]
