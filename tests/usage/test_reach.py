"""A batch reads the few rows it names, however many its account has besides.

The plans are those of the lane's own connection: made once, from what is known of the
tables, and not for one account.
"""

import json

import pytest
from django.db import connection

from accounts.models import Account, Bot
from tests.usage.house import NOON, House
from usage import async_ledger, statements

pytestmark = pytest.mark.django_db

# One account has used much, and a thousand others a little.
MUCH = 20_000
# Ids begin with their time, which says where a row belongs.
_ID = """(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
 || substr(md5(b.id::text || n), 1, 20))::uuid"""
_EACH = """FROM accounts_bot AS b, generate_series(1,
 CASE WHEN b.account_id = %(account)s THEN %(much)s ELSE 3 END) AS n"""
HOLDS = f"""INSERT INTO usage_reservation (id, account_id, bot_id, state, amounts,
 holds, ttl_seconds, created_at, expires_at, dispatched)
SELECT {_ID}, b.account_id, b.id, 'open', '{{}}', '[]', 600, now(),
 %(now)s + interval '1 day', false {_EACH}"""
BLOCKS = f"""INSERT INTO policies_block (id, account_id, bot_id, kind, cover, subject,
 enforced, reason, starts_at, lifted_at, lifted_by, lift_reason)
SELECT {_ID}, b.account_id, b.id, 'person', gen_random_uuid(), '[]', true, '', now(),
 now(), 'x', '' {_EACH}"""
TALKS = f"""INSERT INTO usage_conversation (id, account_id, bot_id, "user", title, meta,
 started_at, last_activity_at, created_at)
SELECT {_ID}, b.account_id, b.id, '', '', '{{}}', now(), now(), now() {_EACH}"""
DECISIONS = f"""INSERT INTO audit_decisionrecord (id, account_id, sequence, kind,
 key_id, allowed, decision, reason_code, message, enforced, policy_target, estimate,
 subject, policies, triggered_categories, allowlist_hits, denylist_hits, created_at)
SELECT {_ID}, b.account_id, n, 'authorize', '', true, 'allow', 'ok', '', true, 'x',
 '{{}}', '{{}}', '[]', '{{}}', '{{}}', '{{}}', now() {_EACH}"""
# As if the tables were large enough for it.
PARALLEL = (
    "parallel_setup_cost = 0",
    "parallel_tuple_cost = 0",
    "min_parallel_table_scan_size = 0",
    "min_parallel_index_scan_size = 0",
)
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def busy(db):
    house = House()
    names = {"account": house.account.id, "much": MUCH, "now": NOON}
    others = [Account(slug=f"other-{n}") for n in range(1_000)]
    Account.objects.bulk_create(others)
    Bot.objects.bulk_create(Bot(account=other, name="Bot") for other in others)
    with connection.cursor() as cursor:
        for sql in (HOLDS, BLOCKS, TALKS, DECISIONS):
            cursor.execute(sql, names)
        cursor.execute("ANALYZE")
    return house


def test_no_statement_goes_through_what_an_account_has(busy):
    account, bot = f"{{{busy.account.id}}}", f"{{{busy.bot.id}}}"
    moment, one = NOON.isoformat(), f"{{{NOBODY}}}"
    talk = {"account_id": str(busy.account.id), "bot_id": str(busy.bot.id)}
    talk |= {"id": NOBODY, "external_id": "none", "last_activity_at": moment}
    for sql, parameters in (
        (statements.VERSIONS, (account,)),
        (statements.OVERDUE, (account, moment, one)),
        (statements.BLOCKS, (account, one, moment)),
        (statements.KEYS, (account, one)),
        (statements.BOTS, (account, bot, "{none}", one)),
        (statements.RESERVATIONS, (account, one)),
        (statements.LOCK_RESERVATIONS, (one,)),
        (statements.REPLAYS, (account, "{none}")),
        (statements.LOCK_PLACED, (one,)),
        (statements.READ_EVENT_IDS, (one,)),
        (statements.SEEN_CONVERSATIONS, (one,)),
        (statements.CONVERSATIONS, (json.dumps([talk]),)),
        (statements.TOUCH_CONVERSATIONS, (json.dumps([talk]),)),
        (statements.NOTE_DECISIONS, (json.dumps([talk]),)),
    ):
        plan = explain(sql, parameters)
        assert read(plan) <= 100, (sql, plan)
        # To start helpers takes longer than the whole batch.
        assert "Workers Planned" not in json.dumps(plan), (sql, plan)


def test_what_is_due_is_found(busy):
    """Else a plan that reads nothing would do."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE usage_reservation SET expires_at = %s WHERE account_id = %s"
            " AND id IN (SELECT id FROM usage_reservation WHERE account_id = %s"
            " LIMIT 7)",
            [NOON, busy.account.id, busy.account.id],
        )
    asked = (f"{{{busy.account.id}}}", NOON.isoformat(), f"{{{NOBODY}}}")
    plan = explain(statements.OVERDUE, asked)
    assert plan["Actual Rows"] == 7


def explain(sql: str, parameters: tuple[str, ...]) -> dict:
    """Run a statement by the lane's generic plan; return what it did."""
    with connection.cursor() as cursor:
        for setting in async_ledger.SESSION:
            cursor.execute(setting.replace("SET ", "SET LOCAL ", 1))
        for setting in PARALLEL:
            cursor.execute(f"SET LOCAL {setting}")
        types = ", ".join(["unknown"] * len(parameters))
        cursor.execute(f"PREPARE asked ({types}) AS {sql.replace('%', '%%')}")
        given = ", ".join(["%s"] * len(parameters))
        cursor.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({given})", parameters
        )
        (((plan,),),) = cursor.fetchall()
        cursor.execute("DEALLOCATE asked")
    return plan["Plan"]


def read(plan: dict) -> float:
    """Return how many rows were looked at: those that were left out too."""
    looked_at = plan["Actual Rows"] * plan["Actual Loops"]
    for name, count in plan.items():
        if name.startswith("Rows Removed by"):
            looked_at += count * plan["Actual Loops"]
    return looked_at + sum(read(child) for child in plan.get("Plans", ()))
