"""The pages: Django as WSGI, served by granian."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from policyhub.memory import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "policyhub.settings")

application = get_wsgi_application()
# The first request would load them else, and no later collection would be spared them.
get_resolver().url_patterns  # noqa: B018
settle()
