"""Which app answers which path. The lane answers its hot routes before this."""

from django.contrib import admin
from django.urls import include, path

from policyhub import health

urlpatterns = [
    path("readyz", health.ready),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("api/", include("api.urls")),
    path("", include("dashboard.urls")),
]
