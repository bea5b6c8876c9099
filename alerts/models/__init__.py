"""What people are told, and how it reaches them."""

from alerts.models.alerts import Alert
from alerts.models.deliveries import Delivery, Notice
from alerts.models.endpoints import MailHour, Recipient, Undeliverable, Webhook

__all__ = [
    "Alert",
    "Delivery",
    "MailHour",
    "Notice",
    "Recipient",
    "Undeliverable",
    "Webhook",
]
