"""What happened: events, counters, reservations, conversations, prices, rollups."""

from usage.models.conversations import (
    Conversation,
    ConversationSeen,
    Message,
)
from usage.models.counting import (
    Adjustment,
    Counter,
    EventId,
    FirstAnswer,
    Reservation,
    UsageEvent,
)
from usage.models.reports import (
    HourlyRollup,
    Price,
    RollupProgress,
    SummaryZone,
    UsageSummary,
)

__all__ = [
    "Adjustment",
    "Conversation",
    "ConversationSeen",
    "Counter",
    "EventId",
    "FirstAnswer",
    "HourlyRollup",
    "Message",
    "Price",
    "Reservation",
    "RollupProgress",
    "SummaryZone",
    "UsageEvent",
    "UsageSummary",
]
