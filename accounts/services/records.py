"""The version of an account and the record of who changed what."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from accounts import ids
from accounts.actors import Actor
from accounts.errors import DuplicateExternalId, NotFound
from accounts.locks import lock_exclusively
from accounts.models import Account, ChangeRecord


def bump_version(*, account_id: UUID) -> int:
    """Take the account's exclusive lock and return its new version.

    The first statement of every edit, inside its transaction. Raises NotFound when
    there is no such account.
    """
    lock_exclusively(account_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_account SET version = version + 1"
            " WHERE id = %s RETURNING version",
            [account_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound
    return int(row[0])


def append_change(
    *,
    account: Account,
    actor: Actor,
    action: str,
    target: str,
    changes: Iterable[Mapping[str, Any]] = (),
    reason: str = "",
    now: datetime,
) -> ChangeRecord:
    """Remember one edit: `action` such as `policy.updated`, `target` a public id."""
    return ChangeRecord.objects.create(
        id=ids.new_id(now),
        account=account,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
        action=action,
        target=target,
        changes=[dict(change) for change in changes],
        reason=reason,
        created_at=now,
    )


def assign(row: object, changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Set the fields of a row that differ, and return them as a change record does."""
    record = []
    for field, after in changes.items():
        before = getattr(row, field)
        if before != after:
            setattr(row, field, after)
            record.append(
                {"field": field, "before": _shown(before), "after": _shown(after)}
            )
    return record


def _shown(value: object) -> object:
    return getattr(value, "public_id", value)


@contextmanager
def unique_external_id() -> Iterator[None]:
    """Turn a taken external id into DuplicateExternalId."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "external_id_is_unique" not in str(error):
            raise
        raise DuplicateExternalId(
            errors=[{"pointer": "/external_id", "detail": "is taken"}]
        ) from error
