from django.urls import path

from storage import image_views

app_name = "images"

urlpatterns = [
    path("add", image_views.add, name="add"),
    path("add/catalogue", image_views.add_from_catalogue, name="add_from_catalogue"),
    path("add/url", image_views.add_from_url, name="add_from_url"),
    path("add/upload", image_views.add_from_upload, name="add_from_upload"),
    *image_views.PAGES.urls,
]
