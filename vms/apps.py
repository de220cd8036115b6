from django.apps import AppConfig


class VmsConfig(AppConfig):
    name = "vms"

    def ready(self) -> None:
        from providers.selectors import project_finders
        from vms import jobs  # noqa: F401 - registers the handlers
        from vms.selectors import projects_at

        project_finders.append(projects_at)
