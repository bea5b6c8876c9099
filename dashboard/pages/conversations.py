"""The list of conversations, and a conversation with its messages."""

from django.http import HttpResponse

from accounts.selectors import bots
from dashboard.paging import page_of
from dashboard.visits import Visit, page, render
from usage import conversations as talks

MESSAGES = 200
CHOICES = 500


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the conversations, the newest first; of one bot if the address says so."""
    known = list(bots(visit.account, include_archived=True)[:CHOICES])
    wanted = visit.request.GET.get("bot", "")
    bot = next((each for each in known if each.public_id == wanted), None)
    found = talks.conversations(visit.account, bot)
    context = {"page": page_of(found, visit.request), "bot": bot, "bots": known}
    return render(visit, "conversations.html", context, place="conversations")


@page()
def detail(visit: Visit, conversation_id: str) -> HttpResponse:
    """Show a conversation with the first of its messages."""
    conversation = talks.conversation_of(visit.account, conversation_id)
    found = talks.messages(conversation)
    shown = list(found[: MESSAGES + 1])
    context = {
        "conversation": conversation,
        "messages_shown": shown[:MESSAGES],
        "more": len(shown) > MESSAGES,
        "most": MESSAGES,
    }
    return render(visit, "conversation.html", context, place="conversations")
