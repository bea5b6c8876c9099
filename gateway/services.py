"""Writes of upstreams. Each bumps the account's version, so no call uses an old one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import AlreadyArchived, FieldError, InvalidBody, StaleRevision
from accounts.models import Account
from accounts.outbound import UnsafeUrl, check_url
from accounts.services import append_change, bump_version
from accounts.services.records import assign
from gateway.models import LONGEST_SECONDS, Upstream
from gateway.protocol import MODEL_MAX, plain
from gateway.secrets import seal

SECONDS = ("connect_seconds", "first_byte_seconds", "idle_seconds", "total_seconds")
MOST_MODELS = 500
SECRET_MAX = 4_000


@transaction.atomic
def create_upstream(
    *, account: Account, values: Mapping[str, Any], actor: Actor, now: datetime
) -> Upstream:
    """Write an upstream down. Raises InvalidBody."""
    _check(values)
    bump_version(account_id=account.id)
    said = dict(values)
    secret = said.pop("secret", "")
    upstream = Upstream(
        id=ids.new_id(now), account=account, created_at=now, updated_at=now, **said
    )
    _keep_secret(upstream, secret)
    upstream.save(force_insert=True)
    _append(upstream, "upstream.created", actor=actor, now=now)
    return upstream


@transaction.atomic
def update_upstream(
    *,
    upstream: Upstream,
    values: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
) -> Upstream:
    """Change what is named. Raises InvalidBody, StaleRevision and AlreadyArchived."""
    _check(values)
    fresh = _locked(upstream, expected_revision)
    said = dict(values)
    secret = said.pop("secret", None)
    _check_secret_stays(fresh, said.get("base_url"), secret)
    record = assign(fresh, said)
    if secret is not None:
        _keep_secret(fresh, secret)
        # That it changed is remembered, never what it is.
        record.append({"field": "secret", "before": None, "after": None})
    if record:
        fresh.revision += 1
        fresh.updated_at = now
        fresh.save()
        _append(fresh, "upstream.updated", actor=actor, changes=record, now=now)
    return fresh


@transaction.atomic
def archive_upstream(
    *,
    upstream: Upstream,
    actor: Actor,
    now: datetime,
    expected_revision: int | None = None,
) -> Upstream:
    """Take an upstream out of use and forget its secret.

    Raises StaleRevision and AlreadyArchived.
    """
    fresh = _locked(upstream, expected_revision)
    _keep_secret(fresh, "")
    fresh.archived_at = now
    fresh.revision += 1
    fresh.updated_at = now
    fresh.save()
    _append(fresh, "upstream.archived", actor=actor, now=now)
    return fresh


def _locked(upstream: Upstream, expected_revision: int | None) -> Upstream:
    bump_version(account_id=upstream.account_id)
    rows = Upstream.objects.select_related("account", "project")
    fresh = rows.get(id=upstream.id)
    if fresh.archived_at is not None:
        raise AlreadyArchived
    if expected_revision is not None and fresh.revision != expected_revision:
        raise StaleRevision
    return fresh


def _check_secret_stays(
    upstream: Upstream, base_url: str | None, secret: str | None
) -> None:
    """Whoever names another host must know the secret, or it would go there."""
    if base_url is None or secret is not None or not upstream.secret:
        return
    try:
        now, then = check_url(upstream.base_url), check_url(base_url)
        same = (now.scheme, now.host, now.port) == (then.scheme, then.host, then.port)
    except UnsafeUrl:
        same = False
    if not same:
        detail = "is required when the host changes"
        raise InvalidBody(errors=[{"pointer": "/secret", "detail": detail}])


def _keep_secret(upstream: Upstream, secret: str) -> None:
    upstream.secret = seal(secret)
    upstream.secret_last4 = secret[-4:] if len(secret) >= 12 else ""


def _append(upstream: Upstream, action: str, **details: Any) -> None:
    append_change(
        account=upstream.account, action=action, target=upstream.public_id, **details
    )


def _check(values: Mapping[str, Any]) -> None:
    problems: list[FieldError] = []
    if "base_url" in values:
        problems += _url_problems(values["base_url"])
    if "secret" in values:
        problems += _secret_problems(values["secret"])
    for name in ("chat_models", "embedding_models"):
        if name in values:
            problems += _model_problems(name, values[name])
    for name in SECONDS:
        if name in values and not 1 <= values[name] <= LONGEST_SECONDS:
            detail = f"must be from 1 to {LONGEST_SECONDS}"
            problems.append({"pointer": f"/{name}", "detail": detail})
    if problems:
        raise InvalidBody(errors=problems)


def _url_problems(url: str) -> list[FieldError]:
    try:
        check_url(url)
    except UnsafeUrl as unsafe:
        return [{"pointer": "/base_url", "detail": str(unsafe)}]
    if "?" in url:
        return [{"pointer": "/base_url", "detail": "must have no query"}]
    return []


def _secret_problems(secret: str) -> list[FieldError]:
    printable = secret.isascii() and secret.isprintable() and " " not in secret
    if len(secret) > SECRET_MAX or not printable:
        detail = f"must be at most {SECRET_MAX} printable ASCII characters"
        return [{"pointer": "/secret", "detail": detail}]
    return []


def _model_problems(name: str, models: Any) -> list[FieldError]:
    if not isinstance(models, dict):
        return [{"pointer": f"/{name}", "detail": "must be an object"}]
    if len(models) > MOST_MODELS:
        detail = f"must name at most {MOST_MODELS} models"
        return [{"pointer": f"/{name}", "detail": detail}]
    if all(_is_name(alias) and _is_name(model) for alias, model in models.items()):
        return []
    detail = (
        "must map a model's name to the upstream's name for it,"
        f" each a text of 1 to {MODEL_MAX} characters"
    )
    return [{"pointer": f"/{name}", "detail": detail}]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MODEL_MAX and plain(value)
