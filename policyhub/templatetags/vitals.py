"""The state of the installation on the index of the admin."""

from django import template
from django.utils.timezone import now

from policyhub.vitals import Vital, vitals

register = template.Library()


@register.simple_tag(name="vitals")
def vitals_tag() -> list[Vital]:
    """Return how each part does now."""
    return vitals(now())
