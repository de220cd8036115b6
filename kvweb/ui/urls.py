from django.urls import path

from kvweb.ui import views

urlpatterns = [
    path("icons/<slug:digest>.svg", views.icons, name="icons"),
    path("standing", views.standing, name="standing"),
]
