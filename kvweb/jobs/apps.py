from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "kvweb.jobs"
    label = "jobs"
