"""Admit a call: find its upstreams and its bot, read its content, reserve its cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final
from uuid import UUID

from accounts.errors import NotFound, Unavailable
from gateway import callers, errors, protocol
from gateway.calls import MARGIN_SECONDS, SOURCE, Call, Ledger
from gateway.exchange import Exchange
from gateway.filters import PASS, Filters, Verdict
from gateway.protocol import Asked, Refusal
from gateway.routes import AccountRoutes, Route, RouteBook
from gateway.screening import content_filters
from policies.decision_types import Finding
from usage.entries import Answer, CallerKey, CallIn, Gate, Item, RulesChanged

# Tokens held for an answer that nobody bounds; less where less is left.
ASSUMED_OUTPUT: Final = 1_024
_ATTEMPTS: Final = 8
_TTL_MAX: Final = 86_400
_NOT_ALLOWED: Final = Finding("model_not_allowed", enforced=True, denies=True)


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent, checked: its body also as it came."""

    caller: CallerKey
    asked: Asked
    path: str
    raw: bytes
    bot: str | None
    conversation: str | None
    tags: dict[str, str] | None


def read(
    exchange: Exchange, caller: CallerKey, asked: Asked, path: str, raw: bytes
) -> Request:
    """Add to a checked body what the headers say. Raises Refusal."""
    asked.user = callers.named_user(exchange, asked.user)
    return Request(
        caller,
        asked,
        path,
        raw,
        callers.named_bot(exchange, caller.bot_id),
        callers.named_conversation(exchange),
        callers.named_tags(exchange),
    )


class Admission:
    """Admits calls at the ledger."""

    def __init__(self, ledger: Ledger, routes: RouteBook) -> None:
        self._ledger = ledger
        self._routes = routes

    async def admit(self, request: Request) -> Call:
        """Return the admitted call. Raises Refusal and DomainError.

        What was read by rules that have been edited since is read again.
        """
        account_id = request.caller.account_id
        routes = await self._routes.of(account_id)
        for _ in range(_ATTEMPTS):
            try:
                return await self._try(request, routes)
            except RulesChanged:
                routes = await self._routes.renew(account_id)
            except (NotFound, Refusal) as error:
                if isinstance(error, Refusal) and error.status != 404:
                    raise
                # It may be there since the routes were read.
                known, routes = routes, await self._routes.renew(account_id)
                if known.version == routes.version:
                    raise
        raise Unavailable(retry_after=1)

    async def _try(self, request: Request, routes: AccountRoutes) -> Call:
        asked, caller = request.asked, request.caller
        ways = routes.routes(caller.project_id, asked.kind, asked.model)
        bot = request.bot or await self._default_bot(routes, caller.project_id)
        filters: Filters = PASS
        if routes.content:
            facts = await self._routes.bot(routes, bot)
            filters = content_filters(routes, asked, facts, caller.project_id)
        body, verdict = filters.prompt(asked)
        decision = await self._decide(request, routes, ways, bot, verdict)
        seconds = _longest(ways)
        return Call(
            caller=caller,
            asked=asked,
            path=request.path,
            bot=decision["policy_target"],
            conversation=request.conversation,
            routes=ways,
            body=body,
            raw=request.raw if body is asked.body else None,
            decision=decision,
            deadline=monotonic() + seconds,
            filters=filters,
        )

    async def _default_bot(self, routes: AccountRoutes, project_id: UUID | None) -> str:
        bot = routes.default_bot(project_id)
        if bot is not None:
            return bot
        now = datetime.now(UTC)
        await callers.make_default_bot(routes.account_id, project_id, now)
        raise RulesChanged

    async def _decide(
        self,
        request: Request,
        routes: AccountRoutes,
        ways: list[Route],
        bot: str,
        verdict: Verdict,
    ) -> dict[str, Any]:
        """Return the decision that lets the call pass. Raises Refusal, DomainError."""
        asked = request.asked
        findings = (*verdict.findings, *(() if ways else (_NOT_ALLOWED,)))
        call = CallIn(
            bot=bot,
            user=asked.user,
            model=asked.model,
            conversation=request.conversation,
            estimate=_estimate(asked),
            reserve=True,
            ttl_seconds=min(int(_longest(ways)) + MARGIN_SECONDS, _TTL_MAX),
            kind=SOURCE,
            gate=Gate(
                version=routes.version,
                assumed_output=ASSUMED_OUTPUT,
                priced_as=ways[0].model if ways else None,
                tags=request.tags,
                findings=findings,
                triggered_categories=verdict.triggered_categories,
                allowlist_hits=verdict.allowlist_hits,
                denylist_hits=verdict.denylist_hits,
            ),
        )
        item = Item(request.caller.account_id, [call], request.caller)
        (answer,) = (await self._ledger.submit(item)).answers
        if answer.error is not None:
            raise answer.error
        body = answer.body if isinstance(answer, Answer) else None
        if body is None:
            raise Unavailable(retry_after=1)
        if not body["allowed"]:
            raise errors.of_decision(body)
        return body


def _estimate(asked: Asked) -> dict[str, int]:
    said: Mapping[str, int | None] = {
        "input_tokens": asked.input_tokens,
        "output_tokens": asked.most_output,
        "messages": 1 if asked.kind == protocol.CHAT else 0,
    }
    return {metric: amount for metric, amount in said.items() if amount is not None}


def _longest(ways: list[Route]) -> float:
    return max((route.times.total for route in ways), default=1.0)
