"""Prices: the account's own, and what a model costs now."""

from typing import Any, Final

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Forbidden
from api import examples
from api.callers import Caller
from api.endpoint import Endpoint, invalid_query
from api.fields import Body, Text
from api.listing import PAGING, each, listed
from api.schema import filters, operation, page, page_of
from api.schema_components import COST
from policies.rules import cost_to_micros, micros_to_cost
from usage.models import Price
from usage.prices import (
    create_price,
    delete_price,
    price_list,
    price_of,
    prices,
    update_price,
)

_AMOUNTS: Final = ("input", "output", "total")
_PRICE: Final = {
    "id": "prc_01kjm3v5c0e8r9q2t4w6y8z0b6",
    "model": "gpt-4o*",
    "input_per_million": "2.5",
    "output_per_million": "10",
    "total_per_million": None,
    "created_at": examples.MORNING,
    "updated_at": examples.MORNING,
}
_SENT: Final = {
    "model": "gpt-4o*",
    "input_per_million": "2.50",
    "output_per_million": "10",
}


@extend_schema_field(COST)
class Usd(serializers.Field[int, Any, str, Any]):
    """US dollars as decimal text or a number, with at most six places."""

    default_error_messages = {"null": "must not be null", "required": "is required"}

    def to_internal_value(self, data: Any) -> int:
        """Return whole micro-dollars."""
        try:
            return cost_to_micros(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None

    def to_representation(self, value: int) -> str:
        """Return decimal text."""
        return micros_to_cost(value)


class PriceBody(Body):
    """A price: for input and for output, or one for all tokens."""

    model = Text(max_length=200)
    input_per_million = Usd(source="input", allow_null=True, default=None)
    output_per_million = Usd(source="output", allow_null=True, default=None)
    total_per_million = Usd(source="total", allow_null=True, default=None)


class PriceAnswer(serializers.Serializer[Price]):
    """A price of the account's own, in US dollars per million tokens."""

    id = serializers.CharField(source="public_id")
    model = serializers.CharField()
    input_per_million = Usd(source="input", allow_null=True)
    output_per_million = Usd(source="output", allow_null=True)
    total_per_million = Usd(source="total", allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class QuoteAnswer(serializers.Serializer[Any]):
    """What a model costs now, and who says so."""

    model = serializers.CharField()
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=["account", "library"], allow_null=True
    )
    price = serializers.CharField(allow_null=True)
    input_per_million = Usd(source="input", allow_null=True)
    output_per_million = Usd(source="output", allow_null=True)
    total_per_million = Usd(source="total", allow_null=True)
    tiered = serializers.BooleanField()


def _need_account(caller: Caller) -> None:
    if caller.project is not None:
        raise Forbidden("Prices are the account's: a key of a project only reads them.")
    caller.need_unbound()


def _one_form(changes: dict[str, Any]) -> dict[str, Any]:
    """Let a split price take the place of a flat one, and the other way round."""
    if changes.get("total") is not None and not {"input", "output"} & set(changes):
        return {**changes, "input": None, "output": None}
    split = changes.get("input") is not None and changes.get("output") is not None
    if split and "total" not in changes:
        return {**changes, "total": None}
    return changes


class Prices(Endpoint):
    """The account's own prices, the oldest first."""

    scopes = {"GET": "prices:read", "POST": "prices:write"}
    queries = PAGING | {"model"}

    @operation(
        "prices_list",
        "List the account's own prices",
        answer=page_of(PriceAnswer, "PricePage"),
        shows=page(_PRICE),
        parameters=filters(model="the price that is written for exactly this text"),
    )
    def get(self, request: Request) -> Response:
        """List prices."""
        rows = prices(self.caller.account)
        model = self.query("model")
        rows = rows if model is None else rows.filter(model=model)
        return listed(request, rows, show=each(PriceAnswer))

    @operation(
        "prices_create",
        "Set a price",
        request=PriceBody,
        sends=_SENT,
        answer=PriceAnswer,
        shows=_PRICE,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Set a price; it holds from the next call on."""
        now, caller = timezone.now(), self.caller
        _need_account(caller)
        values = self.body(PriceBody)
        price = create_price(
            account=caller.account, actor=caller.actor, now=now, **values
        )
        return Response(PriceAnswer(price).data, status=201)


class OnePrice(Endpoint):
    """One of the account's own prices."""

    scopes = {"GET": "prices:read", "PATCH": "prices:write", "DELETE": "prices:write"}

    @operation("prices_read", "Read a price", answer=PriceAnswer, shows=_PRICE)
    def get(self, request: Request, price_id: str) -> Response:
        """Read a price."""
        return Response(PriceAnswer(price_of(self.caller.account, price_id)).data)

    @operation(
        "prices_update",
        "Change a price",
        request=PriceBody,
        sends={"output_per_million": "12"},
        answer=PriceAnswer,
        shows={**_PRICE, "output_per_million": "12"},
    )
    def patch(self, request: Request, price_id: str) -> Response:
        """Change what is named; a whole price of the other form takes its place."""
        caller = self.caller
        price = price_of(caller.account, price_id)
        _need_account(caller)
        changes = _one_form(self.body(PriceBody, partial=True))
        changed = update_price(
            price=price, changes=changes, actor=caller.actor, now=timezone.now()
        )
        return Response(PriceAnswer(changed).data)

    @operation("prices_delete", "Delete a price", answer=None, shows=None, status=204)
    def delete(self, request: Request, price_id: str) -> Response:
        """Let the maintained list hold again."""
        caller = self.caller
        price = price_of(caller.account, price_id)
        _need_account(caller)
        delete_price(price=price, actor=caller.actor, now=timezone.now())
        return Response(status=204)


class PriceLookup(Endpoint):
    """What a model costs now."""

    scopes = {"GET": "prices:read"}
    queries = frozenset({"model"})

    @operation(
        "prices_lookup",
        "Look a model's price up",
        answer=QuoteAnswer,
        shows={
            "model": "gpt-4o-mini",
            "source": "library",
            "price": None,
            "input_per_million": "0.15",
            "output_per_million": "0.6",
            "total_per_million": None,
            "tiered": False,
        },
        parameters=filters(model="the model's name")[:1],
    )
    def get(self, request: Request) -> Response:
        """Say what a model costs now: by the account's own price, else by the list."""
        account, model = self.caller.account, self.query("model")
        if not model or len(model) > 200:
            raise invalid_query("model", "is required, with at most 200 characters")
        quote = price_list(account).quote(model, timezone.now())
        row = None if quote.row is None else prices(account).get(model=quote.row)
        found = {name: getattr(quote, name) for name in ("source", *_AMOUNTS, "tiered")}
        found |= {"model": model, "price": None if row is None else row.public_id}
        return Response(QuoteAnswer(found).data)
