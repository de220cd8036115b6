from django.urls import path

from providers import host_views, views

app_name = "providers"

urlpatterns = [
    path("", views.provider_list, name="list"),
    path("add", views.kinds, name="add"),
    path("add/<slug:kind>", views.add, name="add_kind"),
    path("<uuid:uuid>/", views.detail, name="detail"),
    path("<uuid:uuid>/body", views.body, name="body"),
    path("<uuid:uuid>/card", views.card, name="card"),
    path("<uuid:uuid>/host", host_views.host, name="host"),
    path("<uuid:uuid>/host/facts", host_views.host_facts, name="host_facts"),
    path("<uuid:uuid>/host/data", host_views.host_data, name="host_data"),
    path("<uuid:uuid>/edit", views.edit, name="edit"),
    path("<uuid:uuid>/ask/<slug:action>", views.ask, name="ask"),
    path("<uuid:uuid>/do/<slug:action>", views.do, name="do"),
]
