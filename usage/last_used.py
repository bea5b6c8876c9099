"""When bots last used something, by the hour: read from rollups."""

from datetime import datetime

from django.db.models import OuterRef, QuerySet, Subquery

from accounts.models import Bot
from usage.models import HourlyRollup


def with_last_used(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Add to bots when the hour began in which each last used something."""
    mine = HourlyRollup.objects.filter(account=OuterRef("account"), bot=OuterRef("pk"))
    newest = mine.order_by("-hour").values("hour")[:1]
    return bots.annotate(last_used=Subquery(newest))


def last_used(bot: Bot) -> datetime | None:
    """Return the same for one bot, which may have come with it."""
    if hasattr(bot, "last_used"):
        known: datetime | None = bot.last_used
        return known
    mine = HourlyRollup.objects.filter(account=bot.account_id, bot=bot)
    return mine.order_by("-hour").values_list("hour", flat=True).first()
