from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "kvweb.events"
    label = "events"
