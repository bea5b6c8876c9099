"""Who may open a log-in: anybody, invited people, or those the company's own log-in
knows, as the installation's settings say.
"""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from accounts.models import Person
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

    def save_user(
        self, request: HttpRequest, user: Any, form: Any, commit: bool = True
    ) -> Any:
        """Keep the language that somebody chose before they signed up."""
        chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
        if chosen in dict(settings.LANGUAGES):
            user.language = chosen
        return super().save_user(request, user, form, commit)

    def send_mail(
        self, template_prefix: str, email: str, context: dict[str, Any]
    ) -> None:
        """Write to people in the language that they chose, else in the page's."""
        person = context.get("user")
        if not isinstance(person, Person):
            person = Person.objects.filter(email__iexact=email).first()
        with override((person and person.language) or get_language()):
            super().send_mail(template_prefix, email, context)

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMessage:
        """Let each mail come as HTML, too."""
        mail: EmailMessage = super().render_mail(
            template_prefix, email, context, headers
        )
        if isinstance(mail, EmailMultiAlternatives) and not mail.alternatives:
            shown = {"subject": mail.subject, "body": mail.body}
            page = render_to_string("account/email/page.html", shown)
            mail.attach_alternative(page, "text/html")
        return mail

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
