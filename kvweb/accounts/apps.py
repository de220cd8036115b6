from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "kvweb.accounts"
    label = "accounts"
