"""An account's own prices: write them, read them, say what a model costs now.

A price overrules the maintained list from the next call on: every edit bumps the
account's version (CONTRACT A3, C9). What was recorded keeps the cost it had.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from accounts import ids
from accounts.actors import Actor
from accounts.errors import Conflict, InvalidBody, NotFound
from accounts.models import Account
from accounts.services import append_change, bump_version
from accounts.services.records import assign
from policies.rules import micros_to_cost
from usage import pricing
from usage.models import Price

_AMOUNTS = ("input", "output", "total")


class DuplicatePrice(Conflict):
    """The account has a price for this model already."""

    code = "price_exists"
    title = "The account has a price for this model already."


def prices(account: Account) -> QuerySet[Price]:
    """Return the account's own prices, the oldest first."""
    return Price.objects.filter(account=account).order_by("id")


def price_of(account: Account, public_id: str) -> Price:
    """Return one of them. Raises NotFound."""
    try:
        key = ids.decode_id("prc", public_id)
    except ids.InvalidId:
        raise NotFound from None
    price = prices(account).filter(id=key).select_related("account").first()
    if price is None:
        raise NotFound
    return price


def price_list(account: Account) -> pricing.PriceList:
    """Return the prices that hold for an account now."""
    rows = prices(account).values_list("model", *_AMOUNTS)
    return pricing.PriceList(pricing.Price(*row) for row in rows)


@transaction.atomic
def create_price(
    *,
    account: Account,
    model: str,
    input: int | None = None,  # noqa: A002
    output: int | None = None,
    total: int | None = None,
    actor: Actor,
    now: datetime,
) -> Price:
    """Set a price in micro-USD per million tokens: split, or one flat `total`.

    Raises InvalidBody for both or neither, DuplicatePrice.
    """
    bump_version(account_id=account.id)
    price = Price(
        id=ids.new_id(now),
        account=account,
        model=model,
        input=input,
        output=output,
        total=total,
        created_at=now,
        updated_at=now,
    )
    _save(price, force_insert=True)
    append_change(
        account=account,
        actor=actor,
        action="price.created",
        target=price.public_id,
        changes=_told(_first(price)),
        now=now,
    )
    return price


@transaction.atomic
def update_price(
    *, price: Price, changes: Mapping[str, Any], actor: Actor, now: datetime
) -> Price:
    """Change model or amounts. Raises InvalidBody, DuplicatePrice and NotFound."""
    price = _locked(price)
    record = assign(price, changes)
    if not record:
        return price
    price.updated_at = now
    _save(price)
    append_change(
        account=price.account,
        actor=actor,
        action="price.updated",
        target=price.public_id,
        changes=_told(record),
        now=now,
    )
    return price


@transaction.atomic
def delete_price(
    *, price: Price, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Let the maintained list hold again. Raises NotFound."""
    price = _locked(price)
    target = price.public_id
    price.delete()
    append_change(
        account=price.account,
        actor=actor,
        action="price.deleted",
        target=target,
        changes=[{"field": "model", "before": price.model, "after": None}],
        reason=reason,
        now=now,
    )


def _locked(price: Price) -> Price:
    bump_version(account_id=price.account_id)
    fresh = Price.objects.filter(id=price.id).select_related("account").first()
    if fresh is None:
        raise NotFound
    return fresh


def _save(price: Price, *, force_insert: bool = False) -> None:
    """Write a price that is either split or flat, once per model."""
    _check_model(price.model)
    split = (price.input, price.output)
    whole = price.total is None and None not in split
    flat = price.total is not None and split == (None, None)
    if not whole and not flat:
        detail = "is either input and output, or total"
        raise InvalidBody(errors=[{"pointer": "", "detail": f"a price {detail}"}])
    try:
        with transaction.atomic():
            price.save(force_insert=force_insert)
    except IntegrityError as error:
        if "price_once_per_model" not in str(error):
            raise
        detail = "has a price already"
        raise DuplicatePrice(
            errors=[{"pointer": "/model", "detail": detail}]
        ) from error


def _check_model(model: str) -> None:
    if "*" in model[:-1]:
        detail = "takes a * at its end only"
        raise InvalidBody(errors=[{"pointer": "/model", "detail": detail}])


def _first(price: Price) -> list[dict[str, Any]]:
    said = {name: getattr(price, name) for name in ("model", *_AMOUNTS)}
    return [
        {"field": name, "before": None, "after": value}
        for name, value in said.items()
        if value is not None
    ]


def _told(record: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a change record with its amounts in US dollars."""
    return [
        {
            name: micros_to_cost(value) if isinstance(value, int) else value
            for name, value in change.items()
        }
        for change in record
    ]
