from policyhub.settings import *  # noqa: F403
from policyhub.settings import INSTALLED_APPS as EVERY_APP

MIDDLEWARE = []
# What has models that the view needs; the admin and allauth want their middleware.
_LEFT_OUT = ("policyhub.", "dashboard.", "allauth", "django.contrib.admin")
INSTALLED_APPS = [name for name in EVERY_APP if not name.startswith(_LEFT_OUT)]
INSTALLED_APPS += ["tests.bench.naive.apps.Addresses"]
ROOT_URLCONF = "tests.bench.naive.urls"
