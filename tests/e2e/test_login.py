"""Sign-up, log-in and all that guards it, as people meet them in a browser."""

import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.e2e.look import Look
from tests.e2e.places import STEPS
from tests.e2e.site import PASSWORD
from tests.e2e.test_matrix import FULL, log_in

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]

ERIN, NEW_PASSWORD = "erin@example.com", "a longer horse battery"
SEEN: set[str] = set()


def shown(look: Look, name: str) -> None:
    """Check the page of a step where the browser stands now."""
    SEEN.add(name)
    for dresses in FULL:
        for dress in dresses:
            look.check(*dress)


def press(look: Look, label: str) -> None:
    with look.page.expect_navigation():
        look.page.get_by_role("button", name=label, exact=True).first.click()


def main_text(look: Look) -> str:
    return look.page.inner_text("main")


def code_of(secret: str) -> str:
    """Return what an authenticator app shows; at its end a code is not begun with."""
    left = 30 - time.time() % 30
    if left < 8:
        time.sleep(left)
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def test_every_way_in(site, provider, new_look, virtual_key):
    come_in_by_password_and_more(site, new_look, virtual_key)
    come_in_by_the_company(provider, new_look)
    # Every page that the matrix leaves to these steps was looked at.
    assert sorted(SEEN) == sorted(STEPS)


def come_in_by_password_and_more(site, new_look, virtual_key) -> None:
    look = new_look()
    sign_up(site, look)
    reset_the_password(site, look)
    codes = turn_on_two_factors(look)
    log_in_with_a_recovery_code(look, codes)
    virtual_key(look.page)
    use_a_passkey(look)
    turn_off_two_factors(look)
    end_another_session(look, new_look())
    assert not look.wrong, "\n".join(look.wrong)


def sign_up(site, look: Look) -> None:
    page = look.page
    page.goto(f"{look.origin}/accounts/signup/")
    page.fill("input[name=email]", ERIN)
    page.fill("input[name=password1]", PASSWORD)
    page.fill("input[name=password2]", PASSWORD)
    press(look, "Sign up")
    assert ERIN in main_text(look)
    page.goto(site.mailed_link(ERIN, "/accounts/confirm-email/"))
    shown(look, "account_confirm_email")
    press(look, "Confirm")
    log_in(look, ERIN, PASSWORD)


def reset_the_password(site, look: Look) -> None:
    page = look.page
    page.context.clear_cookies()
    page.goto(f"{look.origin}/accounts/password/reset/")
    page.fill("input[name=email]", ERIN)
    press(look, "Send the link")
    page.goto(site.mailed_link(ERIN, "/password/reset/key/"))
    shown(look, "account_reset_password_from_key")
    page.fill("input[name=password1]", NEW_PASSWORD)
    page.fill("input[name=password2]", NEW_PASSWORD)
    press(look, "Change the password")
    page.wait_for_url("**/app/**")


def turn_on_two_factors(look: Look) -> list[str]:
    """Turn on TOTP after saying again who one is; return the recovery codes."""
    page = look.page
    page.goto(f"{look.origin}/accounts/2fa/totp/activate/")
    shown(look, "account_reauthenticate")
    page.fill("input[name=password]", NEW_PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/2fa/totp/activate/")
    shown(look, "mfa_activate_totp")
    secret = page.input_value("#authenticator_secret")
    page.fill("input[name=code]", code_of(secret))
    page.press("input[name=code]", "Enter")
    page.wait_for_url("**/recovery-codes/**")
    shown(look, "mfa_view_recovery_codes")
    codes = page.input_value("#recovery_codes").split()
    assert len(codes) == 10
    page.goto(f"{look.origin}/accounts/2fa/recovery-codes/generate/")
    shown(look, "mfa_generate_recovery_codes")
    return codes


def log_in_with_a_recovery_code(look: Look, codes: list[str]) -> None:
    page = look.page
    page.context.clear_cookies()
    page.goto(f"{look.origin}/accounts/login/")
    page.fill("input[name=login]", ERIN)
    page.fill("input[name=password]", NEW_PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/2fa/authenticate/")
    shown(look, "mfa_authenticate")
    page.goto(f"{look.origin}/app/new/")
    assert page.url.endswith("/2fa/authenticate/"), "half in is not in"
    page.fill("input[name=code]", codes[0])
    page.press("input[name=code]", "Enter")
    page.wait_for_url("**/app/**")


def use_a_passkey(look: Look) -> None:
    page = look.page
    page.goto(f"{look.origin}/accounts/2fa/webauthn/add/")
    if "reauthenticate" in page.url:
        page.fill("input[name=password]", NEW_PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/webauthn/add/")
    shown(look, "mfa_add_webauthn")
    page.fill("input[name=name]", "Laptop")
    page.check("input[name=passwordless]")
    press(look, "Add")
    page.wait_for_url("**/accounts/2fa/")
    page.goto(f"{look.origin}/accounts/2fa/webauthn/")
    assert "Laptop" in main_text(look)
    edit = page.get_by_role("link", name="Edit").get_attribute("href")
    remove = page.get_by_role("link", name="Remove").get_attribute("href")
    page.goto(look.origin + edit)
    shown(look, "mfa_edit_webauthn")
    page.goto(f"{look.origin}/accounts/2fa/reauthenticate/")
    shown(look, "mfa_reauthenticate")
    page.goto(f"{look.origin}/accounts/2fa/webauthn/reauthenticate/")
    shown(look, "mfa_reauthenticate_webauthn")
    page.context.clear_cookies()
    page.goto(f"{look.origin}/accounts/login/")
    page.click("#passkey_login")
    page.wait_for_url("**/app/**")
    page.goto(f"{look.origin}/accounts/reauthenticate/?next={remove}")
    page.fill("input[name=password]", NEW_PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"**{remove}")
    shown(look, "mfa_remove_webauthn")
    press(look, "Remove")
    assert "Laptop" not in main_text(look)


def turn_off_two_factors(look: Look) -> None:
    page = look.page
    page.goto(f"{look.origin}/accounts/2fa/totp/deactivate/")
    shown(look, "mfa_deactivate_totp")
    press(look, "Deactivate")
    page.goto(f"{look.origin}/accounts/2fa/")
    assert "not active" in main_text(look)


def end_another_session(look: Look, other: Look) -> None:
    log_in(other, ERIN, NEW_PASSWORD)
    page = look.page
    page.goto(f"{look.origin}/accounts/sessions/")
    assert page.locator("tbody tr").count() >= 2
    assert "Chrome" in main_text(look)
    press(look, "Log out the others")
    assert page.locator("tbody tr").count() == 1
    other.page.goto(f"{look.origin}/app/new/")
    assert "/accounts/login/" in other.page.url


def come_in_by_the_company(provider, new_look) -> None:
    look = new_look(elsewhere=(provider.url,))
    page = look.page
    page.goto(f"{look.origin}/accounts/oidc/sso/login/")
    shown(look, "openid_connect_login")
    provider.refuses = True
    go_by_the_company(look)
    page.wait_for_url("**/login/cancelled/")
    provider.refuses = False
    go_by_the_company(look)
    page.wait_for_url("**/app/**")
    page.goto(f"{look.origin}/accounts/password/change/")
    page.wait_for_url("**/password/set/")
    shown(look, "account_set_password")

    # An address that the company does not vouch for takes nobody's place.
    page.context.clear_cookies()
    provider.email, provider.verified = "demo@example.com", False
    go_by_the_company(look)
    page.wait_for_url("**/confirm-email/")
    page.goto(f"{look.origin}/app/demo/")
    page.wait_for_url("**/accounts/login/**")

    # One that it does vouch for is the person's who has it.
    provider.verified = True
    page.context.clear_cookies()
    go_by_the_company(look)
    page.wait_for_url("**/app/demo/")

    # Whoever comes without an address is asked for one.
    page.context.clear_cookies()
    provider.email = ""
    go_by_the_company(look)
    page.wait_for_url("**/3rdparty/signup/")
    shown(look, "socialaccount_signup")
    assert not look.wrong, "\n".join(look.wrong)


def go_by_the_company(look: Look) -> None:
    look.page.goto(f"{look.origin}/accounts/login/")
    press(look, "Log in with Example Ltd")
