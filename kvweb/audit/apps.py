from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "kvweb.audit"
    label = "audit"
