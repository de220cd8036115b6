"""Networks and what belongs to them."""

from django.apps import AppConfig


class NetworkingConfig(AppConfig):
    name = "networking"

    def ready(self) -> None:
        from networking import jobs  # noqa: F401 - registers the handlers
