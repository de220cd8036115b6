from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "kvweb.ui"
    label = "ui"
