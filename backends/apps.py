"""Django's view of the sessions app."""

from django.apps import AppConfig


class BackendsConfig(AppConfig):
    """The sessions."""

    name = "backends"
    verbose_name = "Sessions"
    default_auto_field = "django.db.models.BigAutoField"
