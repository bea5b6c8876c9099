"""The lane's settings: the installation's, with the apps that a decision needs.

The lane shows no page and sends no mail. Admin, forms of log-in, the REST framework and
mail services would be 25 MB of every process of it.
"""

from django.apps import AppConfig

from policyhub.settings import *  # noqa: F403 (settings are read by name)


class Alerts(AppConfig):
    """The alerts' rows, without an ear for what mail services report."""

    name = "alerts"


INSTALLED_APPS = [
    "api.apps.ApiConfig",
    "gateway.apps.GatewayConfig",
    "retention.apps.RetentionConfig",
    "usage.apps.UsageConfig",
    "policies.apps.PoliciesConfig",
    "policyhub.lane_settings.Alerts",
    "audit.apps.AuditConfig",
    "accounts.apps.AccountsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    # Its table of addresses; `accounts` writes it.
    "allauth",
    "allauth.account",
]
