"""Usage that pages can read, inside a test's one transaction."""

from datetime import timedelta

from django.db import connection

from usage import ledger
from usage.entries import EventIn
from usage.models import HourlyRollup, RollupProgress, SummaryZone, UsageSummary
from usage.rollups import roll_up


def sent(account, bot, now, *, days=0, **values):
    """Record an event of some days ago."""
    event = EventIn(bot=bot.public_id, occurred_at=now - timedelta(days=days), **values)
    results = ledger.record_events(account=account, events=[event], now=now)
    assert results[0].status == "recorded"


def rolled_up(now):
    """Roll everything up anew, as if the transactions that wrote it had ended."""
    for model in (HourlyRollup, UsageSummary, SummaryZone, RollupProgress):
        model.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE usage_usageevent SET written_by = '1'")
    return roll_up(now=now)
