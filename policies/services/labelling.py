"""What another product's form says of a policy besides its rule (CONTRACT F3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.services import append_change, bump_version
from accounts.services.records import assign
from policies.models import Policy


class AliasTaken(Conflict):
    """Another policy has this alias."""

    code = "alias_taken"
    title = "Another policy has this alias."


@transaction.atomic
def label_policy(
    *, policy: Policy, labels: Mapping[str, Any], actor: Actor, now: datetime
) -> Policy:
    """Set `alias`, `meta` and `foreign_form`; no revision, for no call notices.

    Raises AliasTaken.
    """
    bump_version(account_id=policy.account_id)
    policy.refresh_from_db(fields=list(labels))
    record = assign(policy, labels)
    if not record:
        return policy
    policy.updated_at = now
    try:
        with transaction.atomic():
            policy.save(update_fields=[*labels, "updated_at"])
    except IntegrityError as error:
        if "policy_alias" not in str(error):
            raise
        raise AliasTaken(
            errors=[{"pointer": "/alias", "detail": "is taken"}]
        ) from error
    append_change(
        account=policy.account,
        actor=actor,
        action="policy.labelled",
        target=policy.public_id,
        changes=[each for each in record if each["field"] != "foreign_form"],
        now=now,
    )
    return policy
