from django.apps import AppConfig


class Addresses(AppConfig):
    """The e-mail addresses that the accounts refer to, without allauth's middleware."""

    name = "allauth.account"
    label = "account"
    default_auto_field = "django.db.models.AutoField"
