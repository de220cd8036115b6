from django.apps import AppConfig


class StorageConfig(AppConfig):
    name = "storage"

    def ready(self) -> None:
        from storage import image_jobs, image_looks, jobs, pool_jobs, volume_jobs  # noqa: F401 - registers the handlers
