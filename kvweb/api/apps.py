from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "kvweb.api"
    label = "api"
