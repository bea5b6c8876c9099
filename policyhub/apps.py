from django.apps import AppConfig


class PolicyHubConfig(AppConfig):
    """Carries the commands that start and watch the installation itself."""

    name = "policyhub"
    verbose_name = "PolicyHub"
