from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "kvweb.accounts"
    label = "accounts"

    def ready(self) -> None:
        from kvweb.accounts import navigation  # noqa: F401 - registers the entries of the frame
