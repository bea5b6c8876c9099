from anymail.signals import tracking
from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        """Listen to what mail services report."""
        from alerts.bounces import on_report

        tracking.connect(on_report, dispatch_uid="alerts.bounces")
