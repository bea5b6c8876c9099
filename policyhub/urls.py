"""Which app answers which path. The lane answers its hot routes before this."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from policyhub import health, single_sign_on, support

handler400 = "api.failures.bad_request"
handler403 = "api.failures.permission_denied"
handler404 = "api.failures.page_not_found"
handler500 = "api.failures.server_error"

urlpatterns = [
    path("readyz", health.ready, name="readyz"),
    path(
        "admin/accounts/account/<uuid:account_id>/support/",
        admin.site.admin_view(support.show),
        name="support",
    ),
    path("admin/", admin.site.urls),
    path(
        "accounts/oidc/<slug:provider_id>/login/",
        single_sign_on.login,
        name="openid_connect_login",
    ),
    path("accounts/", include("allauth.urls")),
    path("api/", include("api.urls")),
    path("", include("dashboard.urls")),
]
if settings.POLICYHUB_MAIL_EVENTS:
    # Without its secret anybody could report that an address bounced.
    urlpatterns.insert(0, path("anymail/", include("policyhub.mail_reports")))
