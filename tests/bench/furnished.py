"""An account in full use: a million usage events, 100,000 conversations, 200 bots.

Rows that are many are made by PostgreSQL itself; the rollups and summaries of the
events are written by the product's own run, policies and counters by its services.
"""

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.models import Account, Bot, Person
from accounts.partitions import ensure_months
from accounts.services import create_account, create_bot, create_key, create_project
from policies.rules import parse
from tests.bench.rig import say
from usage import edits, ledger
from usage.entries import CallIn, EventIn
from usage.rollups import roll_up

SLUG = "furnished"
BOTS, POLICIES, PROJECTS, KEYS, USERS = 200, 100, 10, 20, 2_000
EVENTS, CONVERSATIONS, DECISIONS, ALERTS = 1_000_000, 100_000, 200_000, 1_000
LIVE = 3_000
DAYS = 60

# Each user has a bot, a bot a project and a key: as it is where bots serve people.
_EVENTS = """
INSERT INTO usage_usageevent (id, account_id, sequence, source, client_id, bot_id,
 project_id, key_id, "user", model, tokens, input_tokens, output_tokens, messages,
 conversations, calls, cost, occurred_at, created_at, overrun, estimated)
SELECT uuidv7(age), %(account)s, n, 'api', '', bots[b], projects[b],
 keys[1 + b %% array_length(keys, 1)], 'user-' || u, 'model-' || b %% 8, 820, 700, 120,
 1, 0, 1, 177, now() + age, now() + age, false, false
FROM (SELECT n, u, 1 + u %% %(bots)s AS b, age FROM (
 SELECT n, (n::bigint * 7919 %% %(users)s)::int AS u,
 make_interval(secs => -%(seconds)s * (1 - n::float8 / %(events)s)) AS age
 FROM generate_series(1, %(events)s) AS n) AS raw) AS numbers,
 (SELECT array_agg(id ORDER BY id) AS bots, array_agg(project_id ORDER BY id)
  AS projects FROM accounts_bot WHERE account_id = %(account)s) AS house,
 (SELECT array_agg(id ORDER BY id) AS keys FROM accounts_apikey
  WHERE account_id = %(account)s) AS doors"""

_CONVERSATIONS = """
INSERT INTO usage_conversation (id, account_id, bot_id, "user", title, meta,
 started_at, last_activity_at, created_at)
SELECT uuidv7(age), %(account)s, bots[1 + n %% array_length(bots, 1)],
 'user-' || n %% %(users)s, 'About order ' || n, '{}', now() + age, now() + age,
 now() + age
FROM (SELECT n, make_interval(secs => -%(seconds)s * (1 - n::float8 / %(talks)s)) AS age
 FROM generate_series(1, %(talks)s) AS n) AS numbers,
 (SELECT array_agg(id) AS bots FROM accounts_bot
  WHERE account_id = %(account)s) AS house"""

_DECISIONS = """
INSERT INTO audit_decisionrecord (id, account_id, sequence, kind, key_id, allowed,
 decision, reason_code, message, enforced, rollout_mode, policy_id, policy_target,
 policy_user, model, estimate, subject, policies, triggered_categories,
 allowlist_hits, denylist_hits, created_at)
SELECT uuidv7(age), %(account)s, n, 'authorize', '', n %% 50 > 0,
 CASE WHEN n %% 50 > 0 THEN 'allow' ELSE 'deny' END,
 CASE WHEN n %% 50 > 0 THEN 'ok' ELSE 'limit_exceeded' END, '', true, 'enforce',
 CASE WHEN n %% 50 = 0 THEN %(policy)s END, %(bot)s, 'user-' || n %% %(users)s,
 'model-' || n %% 8, '{}', '{}', '[]', '{}', '{}', '{}', now() + age
FROM (SELECT n, make_interval(secs => -2400000 * (1 - n::float8 / %(decisions)s)) AS age
 FROM generate_series(1, %(decisions)s) AS n) AS numbers"""

_ALERTS = """
INSERT INTO alerts_alert (id, account_id, kind, policy_id, policy_name, counter,
 subject, window_start, step, state, bot_id, metric, threshold, used, message,
 enforced, late, created_at, resolved_at, acknowledged_by)
SELECT uuidv7(age), %(account)s, 'limit', %(policy)s, 'Daily cap 7', 'counter-' || n,
 '[]', now() + age, 100, CASE WHEN n %% 20 > 0 THEN 'resolved' ELSE 'breached' END,
 %(bot)s, 'tokens', 1000, 1000, 'Daily cap 7: 1,000 of 1,000 tokens used', true,
 false, now() + age, CASE WHEN n %% 20 > 0 THEN now() + age END, ''
FROM (SELECT n, make_interval(secs => -%(seconds)s * (1 - n::float8 / %(alerts)s))
 AS age
 FROM generate_series(1, %(alerts)s) AS n) AS numbers"""


def furnish() -> Account:
    """Make the account, and return it."""
    now = timezone.now()
    account = create_account(
        slug=SLUG, owner_email="furnished@example.com", name="Furnished", now=now
    )
    say(f"{BOTS} bots, {POLICIES} policies")
    bots = _people(account, now)
    policies = _policies(account, bots, now)
    say(f"{EVENTS:,} usage events, {CONVERSATIONS:,} conversations")
    first = now - timedelta(days=DAYS + 1)
    for table in ("usage_usageevent", "audit_decisionrecord"):
        ensure_months(table=table, first=first, last=now)
    names = {
        "account": account.id,
        "policy": policies[7],
        "bot": bots[7].public_id,
        "users": USERS,
        "bots": BOTS,
        "events": EVENTS,
        "talks": CONVERSATIONS,
        "decisions": DECISIONS,
        "alerts": ALERTS,
        "seconds": (DAYS - 1) * 86_400,
    }
    with connection.cursor() as cursor:
        # Only that it is there counts, not that it survives a power cut.
        cursor.execute("SET synchronous_commit = off")
        for sql in (_EVENTS, _CONVERSATIONS, _DECISIONS, _ALERTS):
            cursor.execute(sql, names)
    say("rollups and summaries")
    roll_up(now=now)
    _use(account, bots, now)
    roll_up(now=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("CHECKPOINT")
    return account


def owner() -> Person:
    """Return who looks at the pages."""
    return Person.objects.get(email="furnished@example.com")


def _people(account: Account, now: datetime) -> list[Bot]:
    projects = [
        create_project(account=account, name=f"Project {n}", actor=SYSTEM, now=now)
        for n in range(PROJECTS)
    ]
    for n in range(KEYS):
        create_key(
            account=account, name=f"Key {n}", scopes=["decide"], actor=SYSTEM, now=now
        )
    return [
        create_bot(
            account=account,
            name=f"Bot {n}",
            project=projects[n % PROJECTS],
            actor=SYSTEM,
            now=now,
        )
        for n in range(BOTS)
    ]


def _policies(account: Account, bots: list[Bot], now: datetime) -> list[str]:
    """Write caps on bots and on all, caps counted by user, and retention."""
    made = []
    for n in range(POLICIES):
        unit = ("hour", "day", "month", "week")[n % 4]
        window = {"kind": "calendar", "unit": unit, "timezone": "UTC"}
        limit = {"metric": "tokens", "threshold": 10**7, "window": window}
        document = {
            "type": "usage",
            "name": f"Daily cap {n}",
            "limits": [limit],
            "actions": {"block": {"duration_seconds": 3600}, "email": {}},
        }
        if n % 10 == 0:
            document["group_by"] = ["user"]
        elif n % 10 == 9:
            document = {
                "type": "retention",
                "name": f"Keep {n}",
                "scope": {"bot": bots[n].public_id},
                "rollout_mode": "shadow" if n % 20 == 9 else "enforce",
                "retention": {"target": "conversations", "max_age_days": 30},
            }
        elif n % 10 > 2:
            document["scope"] = {"bot": bots[n].public_id}
        policy = edits.create_policy(
            account=account, document=parse(document), actor=SYSTEM, now=now
        )
        made.append(policy.public_id)
    return made


def _use(account: Account, bots: list[Bot], now: datetime) -> None:
    """Let users call through the ledger, so that every counter is open."""
    say(f"{LIVE:,} events and {LIVE // 10} reservations through the ledger")
    for first in range(0, LIVE, 500):
        events = [
            EventIn(bot=bots[n % BOTS].public_id, user=f"user-{n % USERS}", tokens=900)
            for n in range(first, first + 500)
        ]
        ledger.record_events(account=account, events=events, now=now)
    for n in range(LIVE // 10):
        call = CallIn(
            bot=bots[n % BOTS].public_id, estimate={"tokens": 50}, reserve=True
        )
        ledger.authorize(account=account, call=call, now=now)
