"""What a lane process has loaded when it begins to listen."""

import os
import subprocess
import sys

PAGES_ONLY = {
    "allauth.socialaccount",
    "anymail",
    "celery",
    "django.contrib.admin",
    "drf_spectacular",
    "requests",
    "rest_framework",
}


def test_a_lane_loads_its_prices_and_no_page():
    """Prices take a good part of a second, and everybody would wait for them."""
    told = subprocess.run(
        [sys.executable, "-c", "import sys, policyhub.asgi; print(*sys.modules)"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "policyhub.lane_settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(told.stdout.split())
    assert "genai_prices.data" in loaded
    assert loaded.isdisjoint(PAGES_ONLY)
