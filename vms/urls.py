from django.urls import include, path

from vms import (
    action_views,
    bulk_views,
    console_menu_views,
    create_views,
    file_systems_views,
    guest_views,
    list_views,
    metrics_views,
    screenshots_views,
    serial_log_views,
    views,
)
from vms.tabs import TABS

app_name = "vms"

urlpatterns = [
    path("", list_views.vm_list, name="list"),
    path("create", create_views.create, name="create"),
    path("rows", list_views.rows, name="rows"),
    path("sparklines", metrics_views.sparklines, name="sparklines"),
    path("screens", screenshots_views.screens, name="screens"),
    path("<uuid:uuid>/screen", screenshots_views.screen, name="screen"),
    path("bulk", bulk_views.bulk, name="bulk"),
    path("<uuid:uuid>/", views.detail, name="detail"),
    path("<uuid:uuid>/header", views.header, name="header"),
    path("<uuid:uuid>/menu", list_views.menu, name="menu"),
    path("<uuid:uuid>/ask/<slug:action>", action_views.ask, name="ask"),
    path("<uuid:uuid>/do/<slug:action>", action_views.do, name="do"),
    path("<uuid:uuid>/description", views.describe, name="describe"),
    path("<uuid:uuid>/dismiss-problem", views.dismiss_problem, name="dismiss_problem"),
    path("<uuid:uuid>/console/<slug:kind>/menu", console_menu_views.menu, name="console_menu"),
    path("", include("vms.console.urls")),
    path("<uuid:uuid>/guests", guest_views.links, name="guests"),
    path("<uuid:uuid>/guests/<uuid:link_uuid>/revoke", guest_views.revoke, name="revoke_guest"),
    path("<uuid:uuid>/serial-log", serial_log_views.page, name="serial_log"),
    path("<uuid:uuid>/serial-log/output", serial_log_views.output, name="serial_log_output"),
    path("<uuid:uuid>/serial-log/download", serial_log_views.download, name="serial_log_download"),
    path("<uuid:uuid>/file-systems", file_systems_views.part, name="file_systems"),
    path("<uuid:uuid>/metrics/data", metrics_views.data, name="metrics_data"),
    path("<uuid:uuid>/part/<slug:tab>", views.part, name="part"),
    *(path(f"<uuid:uuid>/{tab}", views.detail, {"tab": tab}, name=tab) for tab in TABS if tab != "overview"),
]
