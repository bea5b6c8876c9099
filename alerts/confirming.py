"""The links by which an address confirms that it wants mail: signed, for ever good."""

from uuid import UUID

from django.conf import settings
from django.core import signing

from accounts import ids
from alerts.models import Recipient

_SALT = "alerts.recipient"


def link_to_confirm(recipient: Recipient) -> str:
    """Return the address of the page with the button."""
    token = signing.dumps(recipient.public_id, salt=_SALT)
    return f"{settings.POLICYHUB_SITE_URL.rstrip('/')}/confirm/{token}/"


def named_by(token: str) -> UUID | None:
    """Return the id of the recipient a link was made for; None for a forged one."""
    try:
        return ids.decode_id(Recipient.prefix, signing.loads(token, salt=_SALT))
    except (signing.BadSignature, ids.InvalidId):
        return None
