"""What the browser tests look at, beside a short demo. Prints JSON.

With a number of days it makes the demo of that length and nothing else.

The account `demo` gets a row of each kind, some with names and amounts of the largest
size; `empty` has nothing but its owner; `steps` is for those who change things.
"""

import json
import sys
from datetime import timedelta

import django

django.setup()

from django.core import signing  # noqa: E402
from django.core.management import call_command  # noqa: E402 (Django first)
from django.utils.timezone import now  # noqa: E402

from accounts.actors import SYSTEM  # noqa: E402
from accounts.models import Account, ApiKey, Bot, Invitation, Member, Person  # noqa: E402
from accounts.selectors import account_by_slug  # noqa: E402
from accounts.services import (  # noqa: E402
    add_member,
    archive_bot,
    create_account,
    create_bot,
    create_key,
)
from accounts.services.invitations import invite  # noqa: E402
from alerts import confirming  # noqa: E402
from alerts.models import Alert, Delivery, Recipient, Webhook  # noqa: E402
from alerts.selectors import messages_to  # noqa: E402
from alerts.services import create_webhook, send_test  # noqa: E402
from audit.models import DecisionRecord  # noqa: E402
from dashboard import joining  # noqa: E402
from gateway.models import Upstream  # noqa: E402
from gateway.services import create_upstream  # noqa: E402
from policies.models import Block, Policy  # noqa: E402
from policies.rules import parse  # noqa: E402
from policies.services import block_bot  # noqa: E402
from retention.holding import place_hold  # noqa: E402
from retention.models import LegalHold, PruneRun  # noqa: E402
from retention.services import prune_policy  # noqa: E402
from tests.e2e.site import PASSWORD  # noqa: E402
from usage import edits, ledger  # noqa: E402
from usage.conversations import append_message, create_conversation  # noqa: E402
from usage.entries import CallIn, EventIn  # noqa: E402
from usage.models import Conversation, Message  # noqa: E402

LONG = "Nightly-" + "Donaudampfschifffahrtsgesellschaft" * 4
MOST = 2**53 - 1
DEMO_DAYS = 2
DAY = timedelta(days=1)
ROWS = {
    "policy_id": Policy,
    "bot_id": Bot,
    "alert_id": Alert,
    "block_id": Block,
    "conversation_id": Conversation,
    "message_id": Message,
    "decision_id": DecisionRecord,
    "key_id": ApiKey,
    "webhook_id": Webhook,
    "delivery_id": Delivery,
    "upstream_id": Upstream,
    "hold_id": LegalHold,
    "run_id": PruneRun,
    "member_id": Member,
    "invitation_id": Invitation,
}


def _policy(account: Account, **document) -> Policy:
    return edits.create_policy(
        account=account, document=parse(document), actor=SYSTEM, now=now()
    )


def _cap(account: Account, **changes) -> Policy:
    day = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
    limit = {"metric": "tokens", "threshold": 1000, "window": day}
    document = {"type": "usage", "limits": [limit], "actions": {"block": {}}}
    return _policy(account, **{**document, **changes})


def _fill(account: Account) -> None:
    """Put one row of each kind that the demo may lack into an account."""
    moment = now()
    bot = create_bot(
        account=account, name=LONG[:120], description=LONG, actor=SYSTEM, now=moment
    )
    stopped = create_bot(account=account, name="Stopped", actor=SYSTEM, now=moment)
    block_bot(bot=stopped, reason="It loops.", actor=SYSTEM, now=moment)
    _cap(account, name="Spent", scope={"bot": bot.public_id})
    limits = [
        {"metric": metric, "threshold": MOST, "window": {"kind": "lifetime"}}
        for metric in ("tokens", "messages", "calls")
    ]
    _cap(account, name=LONG, scope={"bot": bot.public_id}, limits=limits)
    content = {"direction": "both", "categories": ["card"], "action": "redact"}
    _policy(account, type="content", name="No card numbers", content=content)
    keep = {"target": "conversations", "max_age_days": 30}
    old = _policy(account, type="retention", name="Keep 30 days", retention=keep)
    for number, age in enumerate((200, 90, 45, 31, 2)):
        at = moment.replace(microsecond=0) - age * DAY
        user = LONG[:90] if age > 60 else "somebody"
        talk = {"started_at": at, "last_activity_at": at, "title": f"Talk {number}"}
        made = create_conversation(
            account=account, bot=bot, user=user, now=moment, **talk
        )
        append_message(
            conversation=made, role="user", text="Hello", created_at=at, now=moment
        )
    event = EventIn(bot=bot.public_id, tokens=MOST // 2, model="gpt-4o-mini")
    ledger.record_events(account=account, events=[event], now=moment)
    ledger.authorize(account=account, call=CallIn(bot=bot.public_id), now=moment)
    create_key(account=account, name=LONG[:100], scopes=["*"], actor=SYSTEM, now=moment)
    hook, _ = create_webhook(
        account=account,
        url=f"https://hooks.example.com/{LONG}",
        types=["*"],
        actor=SYSTEM,
        now=moment,
    )
    send_test(webhook=hook, actor=SYSTEM, now=moment)
    upstream = {"name": LONG[:60], "base_url": "https://api.example.com/v1"}
    create_upstream(account=account, values=upstream, actor=SYSTEM, now=moment)
    invite(
        account=account, email="i@example.com", role="viewer", actor=SYSTEM, now=moment
    )
    viewer = Person.objects.create_user("viewer@example.com", PASSWORD)
    add_member(account=account, person=viewer, role="viewer", actor=SYSTEM, now=moment)
    place_hold(
        account=account, what=LONG[:90], reason="Lawsuit", actor=SYSTEM, now=moment
    )
    prune_policy(policy=old, now=moment)


def _let_wait(account: Account) -> None:
    """Make a run that waits for a person, as too much of all would go at once."""
    moment = now()
    bot = create_bot(account=account, name="Old", actor=SYSTEM, now=moment)
    for _ in range(5):
        old = moment - 90 * DAY
        create_conversation(
            account=account, bot=bot, started_at=old, last_activity_at=old, now=moment
        )
    keep = {"target": "conversations", "max_age_days": 30}
    policy = _policy(account, type="retention", name="Keep 30 days", retention=keep)
    prune_policy(policy=policy, now=moment)
    archive_bot(bot=bot, reason="", actor=SYSTEM, now=moment)


def _tokens(account: Account) -> dict[str, str]:
    """Make the links that are sent by mail."""
    asked = Recipient.objects.create(
        account=account, address="r@example.com", asked_at=now()
    )
    invited = Invitation.objects.get(account=account)
    confirm = confirming.link_to_confirm(asked).rstrip("/").rpartition("/")[2]
    said_yes = Recipient.objects.create(
        account=account, address="y@example.com", asked_at=now(), confirmed_at=now()
    )
    stopping = confirming.link_to_stop(account=account, address=said_yes.address)
    join = signing.dumps(invited.public_id, salt=joining._SALT)
    return {
        "token of dashboard:confirm-recipient": confirm,
        "token of dashboard:join": join,
        "token of dashboard:stop-mail": stopping.rstrip("/").rpartition("/")[2],
    }


def main() -> None:
    """Make them, and say which ids the paths of the pages may name."""
    days = int(sys.argv[1]) if sys.argv[1:] else DEMO_DAYS
    call_command("seed_demo", days=days)
    if days != DEMO_DAYS:
        return
    demo = account_by_slug("demo")
    _fill(demo)
    for slug in ("empty", "steps"):
        create_account(
            slug=slug,
            owner_email=f"{slug}@example.com",
            name=slug.title(),
            password=PASSWORD,
            now=now(),
        )
    _let_wait(account_by_slug("steps"))
    ids = _tokens(demo) | {"provider_id": "sso"}
    for name, model in ROWS.items():
        row = model.objects.filter(account=demo).order_by("-id").first()
        assert row is not None, name
        ids[name] = row.public_id
    policy = Policy.objects.filter(account=demo, name="Spent").get()
    ids["policy_id"] = policy.public_id
    keeps = Policy.objects.filter(account=demo, type=Policy.Type.RETENTION)
    ids["retention_policy_id"] = keeps.first().public_id
    retention = Policy.objects.filter(account=demo, type=Policy.Type.RETENTION)
    ids["retention_policy_id"] = retention.order_by("-id").first().public_id
    sent = messages_to(Webhook.objects.get(account=demo)).first()
    ids["webhook_delivery_id"] = sent.public_id
    ids["block_id"] = Block.objects.filter(policy=policy).first().public_id
    sys.stdout.write(json.dumps(ids))


if __name__ == "__main__":
    main()
