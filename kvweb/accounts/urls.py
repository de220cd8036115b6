from django.urls import path

from kvweb.accounts import views

app_name = "accounts"

urlpatterns = [
    path("account/", views.settings, name="settings"),
    path("account/keys", views.ssh_keys, name="ssh_keys"),
    path("account/keys/<int:pk>/remove", views.remove_key, name="remove_key"),
    path("projects/", views.projects, name="projects"),
    path("projects/<uuid:uuid>/", views.project, name="project"),
    path("projects/<uuid:uuid>/change", views.change_project, name="change_project"),
    path("projects/<uuid:uuid>/members/add", views.add_member, name="add_member"),
    path("projects/<uuid:uuid>/members/<int:pk>/role", views.change_role, name="change_role"),
    path("projects/<uuid:uuid>/members/<int:pk>/remove", views.remove_member, name="remove_member"),
    path("people/", views.people, name="people"),
    path("people/<uuid:uuid>/", views.person, name="person"),
    path("people/<uuid:uuid>/do/<slug:what>", views.change_person, name="change_person"),
]
