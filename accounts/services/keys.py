"""API keys. The text of a key leaves once, when it is made, and is stored nowhere."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts import ids, keys
from accounts.actors import Actor
from accounts.errors import Conflict, InvalidBody
from accounts.models import Account, ApiKey, Bot, Project
from accounts.services.records import append_change, bump_version

_TOUCH_EVERY = timedelta(minutes=1)


@transaction.atomic
def create_key(
    *,
    account: Account,
    name: str,
    scopes: Sequence[str],
    project: Project | None = None,
    bot: Bot | None = None,
    expires_at: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which cannot be read again.

    Raises InvalidBody for scopes that do not exist or an expiry in the past.
    """
    bump_version(account_id=account.id)
    if expires_at is not None and expires_at <= now:
        detail = "must lie in the future"
        raise InvalidBody(errors=[{"pointer": "/expires_at", "detail": detail}])
    key, text = _insert(
        ApiKey(
            account=account,
            project=project,
            bot=bot,
            name=name,
            scopes=_checked_scopes(scopes),
            expires_at=expires_at,
        ),
        actor=actor,
        now=now,
    )
    _append(key, "key.created", actor=actor, now=now)
    return key, text


@transaction.atomic
def rotate_key(
    *, key: ApiKey, overlap_seconds: int = 86_400, actor: Actor, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key that replaces another, which stays good for `overlap_seconds`.

    The new one may do the same and lives as long as the old one was meant to. Raises
    Conflict when the old one is not good any more.
    """
    bump_version(account_id=key.account_id)
    key = ApiKey.objects.select_related("account", "project", "bot").get(id=key.id)
    if not is_live(key, now):
        raise Conflict("The key is expired or revoked; make a new one.")
    new, text = _insert(
        ApiKey(
            account=key.account,
            project=key.project,
            bot=key.bot,
            name=key.name,
            scopes=key.scopes,
            expires_at=_renewed_expiry(key, now),
            replaces=key,
        ),
        actor=actor,
        now=now,
    )
    ends = now + timedelta(seconds=overlap_seconds)
    key.expires_at = ends if key.expires_at is None else min(ends, key.expires_at)
    key.save(update_fields=["expires_at"])
    _append(key, "key.rotated", actor=actor, now=now, reason=f"by {new.public_id}")
    return new, text


@transaction.atomic
def revoke_key(*, key: ApiKey, actor: Actor, now: datetime, reason: str = "") -> ApiKey:
    """Stop a key at once and for good; one that was revoked before stays so."""
    bump_version(account_id=key.account_id)
    revoke_live_keys(
        keys=ApiKey.objects.filter(id=key.id), actor=actor, now=now, reason=reason
    )
    return ApiKey.objects.select_related("account", "project", "bot").get(id=key.id)


@transaction.atomic
def revoke_keys_of_bot(
    *, bot: Bot, actor: Actor, now: datetime, reason: str = ""
) -> int:
    """Stop every key that is bound to a bot; returns how many (CONTRACT C5)."""
    bump_version(account_id=bot.account_id)
    return revoke_live_keys(
        keys=bot.api_keys.all(), actor=actor, now=now, reason=reason
    )


def revoke_live_keys(
    *, keys: QuerySet[ApiKey], actor: Actor, now: datetime, reason: str
) -> int:
    """Stop those of some keys that are not revoked; the lock is held already."""
    live = list(keys.filter(revoked_at=None).select_related("account"))
    for key in live:
        key.revoked_at = now
        key.save(update_fields=["revoked_at"])
        _append(key, "key.revoked", actor=actor, now=now, reason=reason)
    return len(live)


def touch_key(*, key: ApiKey, now: datetime) -> None:
    """Remember that a key was used, at most once a minute; no edit, no version."""
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _TOUCH_EVERY)
    ApiKey.objects.filter(stale, id=key.id).update(last_used_at=now)


def is_live(key: ApiKey, now: datetime) -> bool:
    """Say whether a key is good: neither revoked nor expired."""
    expired = key.expires_at is not None and key.expires_at <= now
    return key.revoked_at is None and not expired


def _renewed_expiry(key: ApiKey, now: datetime) -> datetime | None:
    """Return when a key ends that lives from now as long as this one was meant to."""
    if key.expires_at is None:
        return None
    try:
        return now + (key.expires_at - key.created_at)
    except OverflowError:
        return key.expires_at


def _insert(key: ApiKey, *, actor: Actor, now: datetime) -> tuple[ApiKey, str]:
    text = keys.new_key_text()
    key.id = ids.new_id(now)
    key.key_prefix = keys.key_prefix(text)
    key.last4 = keys.last4(text)
    key.digest = keys.digest(text, settings.POLICYHUB_KEY_PEPPER)
    key.created_at = now
    key.created_by = actor.label or actor.id
    key.save(force_insert=True)
    return key, text


def _checked_scopes(scopes: Sequence[str]) -> list[str]:
    try:
        checked = list(keys.parse_scopes(scopes))
    except ValueError as error:
        problem = str(error)
    else:
        if checked:
            return checked
        problem = "must name at least one scope"
    raise InvalidBody(errors=[{"pointer": "/scopes", "detail": problem}])


def _append(
    key: ApiKey, action: str, *, actor: Actor, now: datetime, reason: str = ""
) -> None:
    append_change(
        account=key.account,
        actor=actor,
        action=action,
        target=key.public_id,
        reason=reason,
        now=now,
    )
