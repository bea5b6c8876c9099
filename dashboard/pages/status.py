"""How the installation does: outbox, worker, clock, retention, gateway, version."""

import platform

import django
from django.conf import settings
from django.http import HttpResponse

from dashboard.condition import checks
from dashboard.fragments import wants_part
from dashboard.visits import Visit, page, render


@page()
def status(visit: Visit) -> HttpResponse:
    """Show every check; the page asks again by itself."""
    found = checks(visit.account, visit.now)
    context = {
        "checks": found,
        "unwell": sum(not each.is_well for each in found),
        "version": settings.POLICYHUB_VERSION,
        "django": django.get_version(),
        "python": platform.python_version(),
    }
    part = wants_part(visit.request)
    template = "parts/status_checks.html" if part else "status.html"
    return render(visit, template, context, place="status")
