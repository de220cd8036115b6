from django.apps import AppConfig


class VmsConfig(AppConfig):
    name = "vms"

    def ready(self) -> None:
        from providers.machines import card_finders, finders
        from providers.selectors import project_finders
        from vms import (  # noqa: F401 - register the handlers
            clone_jobs,
            disk_jobs,
            jobs,
            migration_jobs,
            nic_jobs,
            output_jobs,
            setting_jobs,
            snapshot_jobs,
        )
        from vms.selectors import projects_at
        from vms.users_of import cards, machines

        project_finders.append(projects_at)
        finders.append(machines)
        card_finders.append(cards)
