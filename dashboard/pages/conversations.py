"""The list of conversations, a conversation with its messages, and its deletion."""

from typing import Any, Final

from django.contrib import messages as told
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from accounts.errors import DomainError, NotFound
from accounts.selectors import bots
from dashboard.forms import ReasonForm
from dashboard.paging import page_by_moment
from dashboard.talk_filters import talks_found, talks_sought
from dashboard.visits import Visit, page, render, said
from retention.held import held_conversations
from retention.holding import delete_conversation
from usage import conversations as talks
from usage.models import Conversation

MESSAGES: Final = 200
CHOICES: Final = 500


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the conversations, the last active first, and say which ones are held."""
    known = list(bots(visit.account, include_archived=True)[:CHOICES])
    asked = talks_sought(visit.request.GET, known)
    found = talks_found(visit.account, asked)
    shown = page_by_moment(found, visit.request, "last_activity_at")
    keys = [each.pk for each in shown.rows]
    context = {
        "page": shown,
        "asked": asked,
        "bots": known,
        "held": held_conversations(visit.account, keys, visit.now),
    }
    return render(visit, "conversations.html", context, place="conversations")


@page()
def detail(visit: Visit, conversation_id: str) -> HttpResponse:
    """Show a conversation with the first of its messages."""
    conversation = talks.conversation_of(visit.account, conversation_id)
    return _show(visit, conversation, ReasonForm(auto_id="delete_%s"))


@page(write=True, methods=("POST",))
def delete(visit: Visit, conversation_id: str) -> HttpResponse:
    """Delete a conversation with its messages; what was counted stays."""
    conversation = talks.conversation_of(visit.account, conversation_id)
    form = ReasonForm(visit.request.POST, auto_id="delete_%s")
    if not form.is_valid():
        return _show(visit, conversation, form, status=422)
    try:
        delete_conversation(
            conversation=conversation,
            actor=visit.actor,
            now=visit.now,
            reason=form.cleaned_data["reason"],
        )
    except NotFound:
        raise
    except DomainError as error:
        form.add_error(None, said(error))
        return _show(visit, conversation, form, status=409)
    told.success(visit.request, gettext("The conversation is deleted."))
    return HttpResponseRedirect(visit.address("conversations"))


def _show(
    visit: Visit, conversation: Conversation, form: ReasonForm, *, status: int = 200
) -> HttpResponse:
    found = talks.messages(conversation)
    shown = list(found[: MESSAGES + 1])
    context: dict[str, Any] = {
        "conversation": conversation,
        "messages_shown": shown[:MESSAGES],
        "more": len(shown) > MESSAGES,
        "most": MESSAGES,
        "form": form,
        "held": bool(held_conversations(visit.account, [conversation.pk], visit.now)),
    }
    return render(
        visit, "conversation.html", context, place="conversations", status=status
    )
