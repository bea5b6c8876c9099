"""What django-allauth says on our pages, for translators.

Its own German addresses people now as `du`, now as `Sie`; ours is `Sie` throughout. A
project's catalog comes before an app's, so these texts only have to be in it.
"""

from typing import Final

from django.utils.translation import gettext_noop as _

TEXTS: Final = (
    _("Too many failed login attempts. Try again later."),
    _("You cannot remove your primary email address."),
    _("You cannot add more than %d email addresses."),
    _("Please select only one."),
    _("Your primary email address must be verified."),
    _("Please type your current password."),
    _("Be patient, you are sending too many requests."),
    _("You must type the same email each time."),
    _("You must type the same password each time."),
    _("Your account has no password set up."),
    _("Your account has no verified email address."),
    _(
        "An account already exists with this email address. Please sign in "
        "to that account first, then connect your %s account."
    ),
    _("Do you really want to remove the selected email address?"),
    _("Your password has been changed."),
    _("Your email address is still pending verification."),
    _("You cannot remove your primary email address (%(email)s)."),
    _("You have confirmed %(email)s."),
    _("You have signed out."),
    _("You are already logged in as %(user_display)s."),
    _(
        "You currently do not have any email address set up. You should "
        "really add an email address so you can receive notifications, reset "
        "your password, etc."
    ),
    _("Verify Your Email Address"),
    _(
        "This part of the site requires us to verify that\nyou are who you "
        "claim to be. For this purpose, we require that you\nverify "
        "ownership of your email address. "
    ),
    _(
        "We have sent an email to you for\nverification. Please click on the "
        "link inside that email. If you do not see the verification email in "
        "your main inbox, check your spam folder. Otherwise\ncontact us if "
        "you do not receive it within a few minutes."
    ),
    _(
        '<strong>Note:</strong> you can still <a href="%(email_url)s">change '
        "your email address</a>."
    ),
    _("You are about to generate a new set of recovery codes for your account."),
    _(
        "You are about to deactivate authenticator app based authentication. "
        "Are you sure?"
    ),
    _("You are about to connect a new third-party account from %(provider)s."),
    _("You are about to sign in using a third-party account from %(provider)s."),
    _(
        "You decided to cancel logging in to our site using one of your "
        "existing accounts. If this was a mistake, please proceed to <a "
        'href="%(login_url)s">sign in</a>.'
    ),
    _(
        "You are about to use your %(provider_name)s account to login to\n"
        "%(site_name)s. As a final step, please complete the following form:"
    ),
)
