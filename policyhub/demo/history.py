"""Letting the demo's hours pass, each through the ledger and in one transaction.

An hour is committed wholly or not at all, so the newest event that the seed recorded
says how far it came, and a seed that was interrupted goes on with the next hour.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.db import connection, transaction

from accounts.models import Account
from alerts.filing import file_away, put_by
from alerts.models import Delivery
from policyhub.demo import runaway, stage
from policyhub.demo.rhythm import HOUR, Moment, hour_of
from policyhub.demo.stage import Cast, Plan
from policyhub.demo.story import ACCOUNTS, RUNAWAY, DemoAccount, DemoBot
from usage import ledger, rollups, upkeep
from usage.conversations import append_message
from usage.entries import Answer, CallIn, EventIn, EventResult, Item, Request
from usage.models import Conversation, UsageEvent

SOURCE = "demo"
_LOCK = 0x64656D6F  # "demo"
_REFUSED_ROUNDS = 2

Progress = Callable[[int, int], None]


class AlreadySeeding(Exception):
    """Another process makes the history right now."""


class NotRecorded(RuntimeError):
    """The ledger refused an event of the story."""


@dataclass(frozen=True, slots=True)
class Act:
    """A bot of an account at one moment, under an id of its own."""

    cast: Cast
    bot: DemoBot
    id: str
    moment: Moment


def make_history(
    *,
    account: Account,
    days: int,
    seed: int,
    now: datetime,
    mail: Path | None,
    progress: Progress,
    stories: Sequence[DemoAccount] = ACCOUNTS,
) -> None:
    """Make the history that is not there yet; again, it makes nothing twice.

    The plan is kept with `account`. `mail` is the folder that keeps the e-mails of the
    past, if anybody wants to read them. Raises AlreadySeeding.
    """
    with _alone():
        if stage.is_complete(account):
            return
        plan = stage.set_up(
            account=account, stories=stories, days=days, seed=seed, now=now
        )
        casts = [stage.cast_of(story) for story in stories]
        hours = list(_hours(plan))
        first = _next_hour(account, plan)
        for number, hour in enumerate(hours, start=1):
            if hour >= first:
                with transaction.atomic():
                    _pass_hour(casts, plan, hour, mail)
            progress(number, len(hours))
        stage.finish(account=account, stories=stories, now=max(now, plan.end))
        upkeep.end_windows(now=now)
        rollups.roll_up(now=now)


@contextmanager
def _alone() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            raise AlreadySeeding
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _hours(plan: Plan) -> Iterator[datetime]:
    hour = plan.start
    while hour < plan.end:
        yield hour
        hour += HOUR


def _next_hour(account: Account, plan: Plan) -> datetime:
    """Return the first hour that was not committed."""
    seeded = UsageEvent.objects.filter(account=account, source=SOURCE)
    newest = seeded.order_by("-sequence").first()
    if newest is None:
        return plan.start
    return newest.created_at.replace(minute=0, second=0, microsecond=0) + HOUR


def _pass_hour(
    casts: Sequence[Cast], plan: Plan, hour: datetime, mail: Path | None
) -> None:
    # A second before the hour ends: what is recorded later is late for its window.
    now = min(hour + HOUR - timedelta(seconds=1), plan.end)
    begins = runaway.loop_in(hour, end=plan.end)
    if begins is not None:
        _loop(casts, plan, begins)
    acts = list(_acts(casts, plan, hour))
    refused = _ask(acts, now)
    done = [act for act in acts if (act.bot, act.moment.user) not in refused]
    _record(done, now)
    _talk([act for act in done if act.moment.conversation], now)
    _file_mail(casts, mail, now)


def _acts(casts: Sequence[Cast], plan: Plan, hour: datetime) -> Iterator[Act]:
    index = round((hour - plan.start) / HOUR)
    for cast in casts:
        for bot in cast.story.bots:
            if bot.external_id == RUNAWAY and runaway.is_stopped(hour, end=plan.end):
                continue
            for moment in hour_of(
                bot, seed=plan.seed, start=plan.start, end=plan.end, hour=hour
            ):
                name = f"{bot.external_id}-{index}-{moment.number}"
                yield Act(cast, bot, name, moment)


def _ask(acts: Sequence[Act], now: datetime) -> set[tuple[DemoBot, str | None]]:
    """Ask for the calls that ask, and return who was refused."""
    asking = [act for act in acts if act.moment.asks]
    answers = _run(asking, [_call(act) for act in asking], now)
    return {
        (act.bot, act.moment.user)
        for act, answer in zip(asking, answers, strict=True)
        if not _allowed(answer)
    }


def _record(acts: Sequence[Act], now: datetime) -> None:
    for act, result in zip(acts, _run(acts, map(_event, acts), now), strict=True):
        if not isinstance(result, EventResult) or result.error is not None:
            raise NotRecorded(f"{act.id}: {result}")


def _run(
    acts: Sequence[Act], requests: Iterator[Request] | Sequence[Request], now: datetime
) -> list[Answer | EventResult]:
    """Put a request for each act to the ledger, all in one batch."""
    items = [
        Item(act.cast.account.id, [request])
        for act, request in zip(acts, requests, strict=True)
    ]
    if not items:
        return []
    return [outcome.answers[0] for outcome in ledger.run(items, now=now)]


def _call(act: Act) -> CallIn:
    moment = act.moment
    estimate = {
        "input_tokens": moment.input_tokens,
        "output_tokens": moment.output_tokens,
        "tokens": moment.input_tokens + moment.output_tokens,
        "messages": moment.messages,
    }
    return CallIn(
        bot=act.cast.bots[act.bot.external_id],
        user=moment.user,
        model=moment.model,
        conversation=moment.conversation,
        estimate=estimate,
    )


def _event(act: Act) -> EventIn:
    moment = act.moment
    return EventIn(
        bot=act.cast.bots[act.bot.external_id],
        id=act.id,
        user=moment.user,
        model=moment.model,
        conversation=moment.conversation,
        input_tokens=moment.input_tokens,
        output_tokens=moment.output_tokens,
        messages=moment.messages,
        occurred_at=moment.at,
        source=SOURCE,
    )


def _allowed(answer: Answer | EventResult) -> bool:
    if not isinstance(answer, Answer) or answer.body is None:
        raise NotRecorded(str(answer))
    return bool(answer.body["allowed"])


def _loop(casts: Sequence[Cast], plan: Plan, begins: datetime) -> None:
    """Let the runaway loop until it is refused, and a little longer."""
    cast = next(cast for cast in casts if RUNAWAY in cast.bots)
    bot = next(bot for bot in cast.story.bots if bot.external_id == RUNAWAY)
    refused_rounds = 0
    for number, now in enumerate(runaway.rounds(begins)):
        acts = [
            _looping(cast, bot, plan, begins, number * runaway.CALLS + call, now)
            for call in range(runaway.CALLS)
        ]
        answers = _run(acts, [_call(act) for act in acts], now)
        allowed = [
            act for act, answer in zip(acts, answers, strict=True) if _allowed(answer)
        ]
        _record(allowed, now)
        refused_rounds += not allowed
        if refused_rounds == _REFUSED_ROUNDS:
            return


def _looping(
    cast: Cast, bot: DemoBot, plan: Plan, begins: datetime, number: int, now: datetime
) -> Act:
    read, written = runaway.tokens_of_call(seed=plan.seed, begins=begins, number=number)
    moment = Moment(
        number=number,
        at=now,
        user=None,
        model=bot.models[0],
        input_tokens=read,
        output_tokens=written,
        messages=0,
        conversation=None,
        asks=True,
    )
    return Act(cast, bot, f"loop-{begins:%Y%m%d%H}-{number}", moment)


def _talk(acts: Sequence[Act], now: datetime) -> None:
    """Add what was asked and what was answered to the conversations of the hour."""
    found = Conversation.objects.filter(
        account__in={act.cast.account.id for act in acts},
        external_id__in={act.moment.conversation for act in acts},
    )
    named = {(row.account_id, row.external_id): row for row in found}
    for act in acts:
        moment = act.moment
        conversation = named[act.cast.account.id, moment.conversation]
        tokens = (moment.input_tokens, moment.output_tokens)
        for role, count in zip(("user", "assistant"), tokens, strict=True):
            append_message(
                conversation=conversation,
                role=role,
                tokens=count,
                created_at=moment.at,
                now=now,
            )


def _file_mail(casts: Sequence[Cast], mail: Path | None, now: datetime) -> None:
    """Keep what the hour's alerts would have sent: nobody is written to."""
    for cast in casts:
        due = Delivery.objects.filter(
            account=cast.account,
            state=Delivery.State.PENDING,
            alert__policy_id__in=cast.policies,
        )
        for delivery in due.select_related("alert__account", "account"):
            if mail is None:
                put_by(delivery=delivery, now=now)
            else:
                file_away(delivery=delivery, folder=mail, now=now)
