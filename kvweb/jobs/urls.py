from django.urls import path

from kvweb.jobs import views

app_name = "jobs"

urlpatterns = [
    path("", views.job_list, name="list"),
    path("active", views.active, name="active"),
    path("activity", views.activity, name="activity"),
    path("rows", views.rows, name="rows"),
    path("standstill", views.standstill, name="standstill"),
    path("<uuid:uuid>/", views.detail, name="detail"),
    path("<uuid:uuid>/state", views.state, name="state"),
    path("<uuid:uuid>/lines", views.lines, name="lines"),
    path("<uuid:uuid>/cancel", views.cancel, name="cancel"),
]
