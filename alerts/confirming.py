"""The links by which an address says that it wants mail, or no more: signed, for ever
good.
"""

from uuid import UUID

from django.conf import settings
from django.core import signing

from accounts import ids
from accounts.models import Account, Member
from alerts.models import Recipient

_SALT = "alerts.recipient"
_STOPPING = signing.Signer(salt="alerts.recipient.stop")


def link_to_confirm(recipient: Recipient) -> str:
    """Return the address of the page with the button."""
    token = signing.dumps(recipient.public_id, salt=_SALT)
    return f"{settings.POLICYHUB_SITE_URL.rstrip('/')}/confirm/{token}/"


def link_to_stop(*, account: Account, address: str) -> str:
    """Return where an address that confirmed can take it back; empty for others.

    It is the same each time, as the mail that bears it is. Members get what their
    account has to tell, whether they once confirmed or not.
    """
    if not address:
        return ""
    members = Member.objects.filter(account=account, person__email__iexact=address)
    mine = Recipient.objects.filter(account=account, address__iexact=address)
    confirmed = mine.filter(confirmed_at__isnull=False).order_by("id").first()
    if confirmed is None or members.exists():
        return ""
    token = _STOPPING.sign_object(confirmed.public_id)
    return f"{settings.POLICYHUB_SITE_URL.rstrip('/')}/stop-mail/{token}/"


def named_by(token: str, *, stops: bool = False) -> UUID | None:
    """Return the id of the recipient a link was made for; None for a forged one.

    `stops`: the link is the one by which mail is stopped.
    """
    try:
        named = (
            _STOPPING.unsign_object(token)
            if stops
            else signing.loads(token, salt=_SALT)
        )
        return ids.decode_id(Recipient.prefix, named)
    except (signing.BadSignature, ids.InvalidId):
        return None
