"""Django's view of this package."""

from django.apps import AppConfig

from policyhub.admin_names import give_names
from policyhub.celery import app as celery_app


class PolicyHubConfig(AppConfig):
    """Carries the commands that start and watch the installation itself."""

    name = "policyhub"
    verbose_name = "PolicyHub"
    celery = celery_app  # loaded with Django, so that every task finds it

    def ready(self) -> None:
        """Name what the admin shows."""
        give_names()
