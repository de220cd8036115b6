from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "kvweb.portal"
    label = "portal"

    def ready(self) -> None:
        from kvweb import checks  # noqa: F401 - registers the system checks
        from kvweb.portal import inventory  # noqa: F401 - registers the handler and the tick
