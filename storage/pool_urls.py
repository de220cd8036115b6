from django.urls import path

from storage import pool_views

app_name = "pools"

urlpatterns = [path("create", pool_views.create, name="create"), *pool_views.PAGES.urls]
