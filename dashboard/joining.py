"""Invitations by signed links: who was asked, and where the answer leads.

A link carries the invitation's id, signed; who opens it keeps the id in the session,
so that signing up leads back to it.
"""

from datetime import datetime
from typing import Final

from django.core import signing
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.errors import NotFound
from accounts.models import Invitation
from accounts.selectors import open_invitation
from accounts.services.invitations import LASTS

_SALT: Final = "policyhub.invitation"
_KEPT: Final = "invitation"


def link_of(invitation: Invitation, request: HttpRequest) -> str:
    """Return the address to send to the invited person."""
    token = signing.dumps(invitation.public_id, salt=_SALT)
    return request.build_absolute_uri(reverse("dashboard:join", args=[token]))


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
