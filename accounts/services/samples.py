"""Sample accounts: an invented account beside a real one, to look around in.

Nothing of it touches the real one: it is an account of its own, with bots, counters and
history of its own, which the worker fills. Who removes it leaves it at once; its rows
are deleted by the worker.
"""

from collections.abc import Iterator
from datetime import datetime

from django.apps import apps
from django.db import connection, transaction
from django.db.models import Model

from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Account, ApiKey, ChangeRecord, Member, Person
from accounts.services.keys import revoke_live_keys
from accounts.services.records import append_change, bump_version
from accounts.services.tenants import add_member, finish_start, open_account

# The longest slug is 60 characters, and a taken one gets a number.
_STEM = 45


@transaction.atomic
def open_sample(
    *, account: Account, owner: Person, name: str, now: datetime
) -> Account:
    """Make the sample account of an account, or join it as another owner.

    Raises Conflict if the account is a sample itself.
    """
    mine = Account.objects.select_for_update().get(id=account.id)
    if mine.is_sample:
        raise Conflict("This is a sample account already.")
    found = Account.objects.filter(sample_of=mine).first()
    if found is None:
        return _opened(mine, owner, name, now)
    if not found.members.filter(person=owner, role=Member.Role.OWNER).exists():
        add_member(
            account=found,
            person=owner,
            role=Member.Role.OWNER,
            actor=Actor.person(owner),
            now=now,
        )
    return found


@transaction.atomic
def remove_sample(*, account: Account, actor: Actor, now: datetime) -> None:
    """Leave a sample account for good, with everybody in it.

    Raises Conflict if the account is none.
    """
    bump_version(account_id=account.id)
    sample = Account.objects.select_related("sample_of").get(id=account.id)
    if not sample.is_sample:
        raise Conflict("Only a sample account can be removed.")
    if sample.sample_of is not None:
        append_change(
            account=sample.sample_of,
            actor=actor,
            action="sample.removed",
            target=sample.public_id,
            now=now,
        )
    revoke_live_keys(keys=sample.api_keys.all(), actor=actor, now=now, reason="Removed")
    sample.invitations.all().delete()
    sample.members.all().delete()
    Account.objects.filter(id=sample.id).update(sample_of=None)


def left_samples() -> list[Account]:
    """Return the sample accounts that were removed and have rows yet."""
    left = Account.objects.exclude(sample_percent=None).filter(members=None)
    return list(left.order_by("id"))


@transaction.atomic
def delete_sample(account: Account) -> int:
    """Delete every row of a sample account that was removed; return how many.

    Nothing of any other account is deleted, whatever is given. Where keys were made the
    account itself stays, with them and its changes: a program that still uses one is
    told that it was revoked.
    """
    bump_version(account_id=account.id)
    if account not in left_samples():
        return 0
    keeps: set[type[Model]] = set()
    if ApiKey.objects.filter(account=account).exists():
        keeps = {ApiKey, ChangeRecord}
        ApiKey.objects.filter(account=account).update(bot=None, project=None)
        Account.objects.filter(id=account.id).update(sample_percent=None)
    gone = 0
    with connection.cursor() as cursor:
        for model in _models_of_accounts():
            if model not in keeps:
                table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001
                cursor.execute(
                    f"DELETE FROM {table} WHERE account_id = %s",  # noqa: S608
                    [account.id],
                )
                gone += cursor.rowcount
        if not keeps:
            cursor.execute("DELETE FROM accounts_account WHERE id = %s", [account.id])
    return gone


def _models_of_accounts() -> Iterator[type[Model]]:
    """Yield every model whose rows belong to an account, what refers to others first.

    Apps are in the order of the layers, the topmost first, and a model stands below
    those that it refers to.
    """
    for config in apps.get_app_configs():
        for model in reversed(list(config.get_models())):
            fields = {field.name: field for field in model._meta.concrete_fields}  # noqa: SLF001
            if "account" in fields and fields["account"].related_model is Account:
                yield model


def _opened(account: Account, owner: Person, name: str, now: datetime) -> Account:
    actor = Actor.person(owner)
    sample = open_account(
        owner=owner,
        slug=f"{account.slug[:_STEM]}-sample",
        name=name,
        timezone=account.timezone,
        language=account.language,
        now=now,
    )
    finish_start(account=sample, actor=actor, now=now)
    sample.week_start, sample.started_at = account.week_start, now
    sample.sample_of, sample.sample_percent = account, 0
    sample.save(update_fields=["week_start", "sample_of", "sample_percent"])
    append_change(
        account=account,
        actor=actor,
        action="sample.opened",
        target=sample.public_id,
        now=now,
    )
    return sample
