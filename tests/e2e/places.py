"""Which addresses are pages: all of the resolver's, but for those named here.

An address that is new is looked at without being named anywhere; one whose path needs
an id that `furnish` does not know, or which answers as no page does, fails the tests.
"""

from tests.routes import django_places

# Not for people's eyes, or somebody else's pages (the admin has a test of its own).
NO_PAGES = ("/admin/", "/api/", "/readyz", "/anymail/", "/accounts/social/")
# Where nobody is logged in yet.
DOORS = {
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
    "account_email_verification_sent",
    "account_inactive",
    "socialaccount_login_cancelled",
    "socialaccount_login_error",
    "dashboard:join",
    "dashboard:confirm-recipient",
    "dashboard:stop-mail",
}
# Shown in the middle of something only; `test_login` looks at each of them.
STEPS = {
    "openid_connect_login",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "account_confirm_email",
    "account_reauthenticate",
    "account_reset_password_from_key",
    "account_set_password",
    "mfa_authenticate",
    "mfa_deactivate_totp",
    "mfa_edit_webauthn",
    "mfa_generate_recovery_codes",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
    "mfa_remove_webauthn",
    "mfa_view_recovery_codes",
    "socialaccount_signup",
}
# They answer by leading on, or with something that is no page.
NEVER_SHOWN = {
    "account_confirm_login_code",
    "dashboard:accounts",
    "dashboard:landing",
    "mfa_download_recovery_codes",
    "mfa_login_webauthn",
    "openid_connect_callback",
}
# Pages that are shown with a status of their own.
UNHAPPY = {"/accounts/3rdparty/login/error/": 401}
# Pages that only a query leads to.
ASKED_FOR = ("/app/?all=1",)
KINDS = {"dashboard:policy-create": ("usage", "retention", "content")}


def page_paths(slug: str, ids: dict[str, str], *, doors: bool) -> list[str]:
    """Return the paths below no log-in (`doors`) or of an account.

    Raises KeyError for a parameter that nobody furnished.
    """
    found = []
    for place in django_places():
        name = place.name
        if place.path.startswith(NO_PAGES) or name in STEPS | NEVER_SHOWN:
            continue
        if (name in DOORS) != doors:
            continue
        for kind in KINDS.get(name, ("usage",)):
            values = {"slug": slug, "kind": kind, "number": "1", "form": "csv", **ids}
            if "{token}" in place.path:
                values["token"] = ids[f"token of {name}"]
            found.append(place.path.format(**values))
    return found if doors else [*ASKED_FOR, *found]


def plain_paths(slug: str) -> list[str]:
    """Return the paths of an account that name no row."""
    at = "/app/{slug}/"
    paths = [place.path for place in django_places() if place.path.startswith(at)]
    return [path.format(slug=slug) for path in paths if path.count("{") == 1]
