"""Who may open a log-in: anybody, invited people, or those the company's own log-in
knows, as the installation's settings say.
"""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from dashboard import languages
from dashboard.joining import invited_address


class Door(DefaultAccountAdapter):
    """Sign-up by e-mail: for everybody, or by an invitation alone."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether a log-in may be made now."""
        is_open: bool = settings.POLICYHUB_SIGNUP == "open"
        return is_open or invited_address(request) is not None

    def clean_email(self, email: str) -> str:
        """Accept the invited address alone where only invited people may sign up."""
        cleaned: str = super().clean_email(email)
        invited = invited_address(self.request)
        only_invited = settings.POLICYHUB_SIGNUP != "open" and invited is not None
        if only_invited and cleaned.casefold() != str(invited).casefold():
            told = _("The invitation is for %(address)s.") % {"address": invited}
            raise ValidationError(told)
        return cleaned

    def post_login(
        self, request: HttpRequest, user: Any, **details: Any
    ) -> HttpResponseBase:
        """Let the browser speak the person's language from now on."""
        answer: HttpResponseBase = super().post_login(request, user, **details)
        if user.language:
            languages.keep(answer, user.language)
        return answer


class SingleSignOn(DefaultSocialAccountAdapter):
    """Log-in by the company's own: whoever it knows may have a log-in here."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Whether a log-in may be made now: the issuer has said yes."""
        return True
