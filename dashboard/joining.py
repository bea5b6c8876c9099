"""Invitations by signed links: who was asked, and where the answer leads.

A link carries the invitation's id, signed; who opens it keeps the id in the session,
so that signing up leads back to it.
"""

from datetime import datetime
from typing import Final

from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, override

from accounts.errors import NotFound
from accounts.models import Account, Invitation, Person
from accounts.selectors import language_of_guest, open_invitation
from accounts.services.invitations import LASTS
from alerts.mail import one_line

_SALT: Final = "policyhub.invitation"
_KEPT: Final = "invitation"


def link_of(invitation: Invitation, request: HttpRequest) -> str:
    """Return the address to send to the invited person."""
    token = signing.dumps(invitation.public_id, salt=_SALT)
    return request.build_absolute_uri(reverse("dashboard:join", args=[token]))


def letter(
    account: Account, person: Person, invitation: Invitation, link: str
) -> EmailMultiAlternatives:
    """Return the mail that asks somebody in, in the language that they read."""
    language = language_of_guest(account=account, address=invitation.email)
    with override(language):
        context = {
            "person": person.email,
            "account": account.name,
            "role": invitation.get_role_display(),
            "invitation": invitation,
            "link": link,
        }
        body = render_to_string("dashboard/mail/invitation.txt", context)
        page = render_to_string("dashboard/mail/invitation.html", context)
        subject = gettext("You are invited to %(account)s on PolicyHub") % context
    mail = EmailMultiAlternatives(one_line(subject), body, to=[invitation.email])
    mail.attach_alternative(page, "text/html")
    return mail


def invitation_of(token: str, now: datetime) -> Invitation:
    """Return the open invitation that a link names; raises NotFound."""
    try:
        public_id = signing.loads(token, salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        raise NotFound from None
    return open_invitation(public_id, now)


def keep(request: HttpRequest, invitation: Invitation) -> None:
    """Remember in the session that somebody has opened an invitation."""
    request.session[_KEPT] = invitation.public_id


def invited_address(request: HttpRequest | None) -> str | None:
    """Return the address that the session's open invitation is for, if there is one."""
    kept = None if request is None else request.session.get(_KEPT)
    if kept is None:
        return None
    try:
        return open_invitation(kept, timezone.now()).email
    except NotFound:
        return None
