"""Django's view of the fleet app."""

from django.apps import AppConfig


class DronesConfig(AppConfig):
    """The fleet."""

    name = "drones"
    verbose_name = "Fleet"
    default_auto_field = "django.db.models.BigAutoField"
