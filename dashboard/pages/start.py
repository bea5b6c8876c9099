"""The first steps: a bot, a key, a snippet to paste, and the first event of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accounts import selectors, services
from accounts.errors import DomainError, NotFound
from accounts.models import ApiKey, Bot
from audit.models import DecisionRecord
from audit.selectors import decisions
from dashboard.first_call import simulate
from dashboard.forms import scopes_of
from dashboard.paging import chosen
from dashboard.snippets import TABS, env_line, snippets
from dashboard.start_forms import FirstBotForm
from dashboard.visits import Visit, page, render, said
from gateway import echo
from gateway import selectors as gateway_selectors
from usage.models import UsageEvent
from usage.selectors import latest_event

PLACEHOLDER = "phk_live_…"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the first steps are; each property is one tick."""

    bot: Bot | None
    key: ApiKey | None
    event: UsageEvent | None
    decision: DecisionRecord | None

    @property
    def called(self) -> bool:
        """Whether anybody has called, be it to ask alone."""
        return self.event is not None or self.decision is not None

    @property
    def ticks(self) -> int:
        """How many of the four are done."""
        steps = (self.bot, self.key, self.called, self.event)
        return sum(bool(step) for step in steps)


@page(write=True)
def start(visit: Visit) -> HttpResponse:
    """Show how far the first steps are."""
    return _show(visit)


@page(write=True)
def event(visit: Visit) -> HttpResponse:
    """Render the last step alone, if there is anything new about it.

    The page asks for it until the event is there.
    """
    progress = _progress(visit)
    seen = "asked" in visit.request.GET
    if progress.event is None and (progress.decision is not None) == seen:
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    # What stands above the step says how far all of them are, so it comes along.
    context = {"progress": progress, "part": True}
    return render(visit, "parts/start_event.html", context)


@page(write=True, methods=("POST",))
def bot(visit: Visit) -> HttpResponse:
    """Register the first bot."""
    form = FirstBotForm(visit.request.POST)
    if not form.is_valid():
        return _show(visit, status=422, bot_form=form)
    services.create_bot(
        account=visit.account,
        name=form.cleaned_data["name"],
        actor=visit.actor,
        now=visit.now,
    )
    return HttpResponseRedirect(visit.address("start"))


@page(write=True, methods=("POST",))
def key(visit: Visit) -> HttpResponse:
    """Make a key for the bot and show it, this one time, in the snippets too."""
    mine = _bot(visit)
    if mine is None:
        messages.error(visit.request, _("Register a bot first."))
        return HttpResponseRedirect(visit.address("start"))
    made, text = services.create_key(
        account=visit.account,
        name=_("First key of %(bot)s") % {"bot": mine.name[:150]},
        scopes=scopes_of("calls"),
        bot=mine,
        project=mine.project,
        actor=visit.actor,
        now=visit.now,
    )
    return _show(visit, made=made, text=text)


@page(write=True, methods=("POST",))
def event_simulated(visit: Visit) -> HttpResponse:
    """Make one call as the snippet would: asked for, held, and reported."""
    mine = _bot(visit)
    if mine is None:
        messages.error(visit.request, _("Register a bot first."))
        return HttpResponseRedirect(visit.address("start"))
    try:
        refusal = simulate(account=visit.account, bot=mine, now=visit.now)
    except NotFound:
        raise
    except DomainError as error:
        messages.error(visit.request, said(error))
    else:
        if refusal:
            told = _("The call was refused, so nothing was reported: %(why)s")
            messages.warning(visit.request, told % {"why": refusal})
    return HttpResponseRedirect(visit.address("start") + "#event")


@page(write=True, methods=("POST",))
def finish(visit: Visit) -> HttpResponse:
    """Leave the first steps behind; their page stays where it is."""
    services.finish_start(account=visit.account, actor=visit.actor, now=visit.now)
    return HttpResponseRedirect(visit.address("overview"))


def _progress(visit: Visit) -> Progress:
    mine = _bot(visit)
    newest = latest_event(visit.account)
    asked = decisions(visit.account).first() if newest is None else None
    return Progress(mine, _key(visit, mine), newest, asked)


def _bot(visit: Visit) -> Bot | None:
    return selectors.bots(visit.account).last()


def _key(visit: Visit, mine: Bot | None) -> ApiKey | None:
    """Return the newest good key that may call for the bot."""
    live = selectors.keys(visit.account).filter(revoked_at=None).order_by("-id")
    for each in live[:20]:
        bound = each.bot_id is None or (mine is not None and each.bot_id == mine.id)
        calls = {"*", "decide", "gateway"} & set(each.scopes)
        if bound and calls and selectors.key_status(each, visit.now) == "active":
            return each
    return None


def _show(
    visit: Visit,
    *,
    status: int = 200,
    made: ApiKey | None = None,
    text: str = "",
    **bound: Any,
) -> HttpResponse:
    progress = _progress(visit)
    context = {
        "progress": progress,
        "made": made,
        "text": text,
        "env_line": env_line(text),
        "bot_form": FirstBotForm(),
        **_snippets(visit, progress, text),
        **bound,
    }
    return render(visit, "start.html", context, place="start", status=status)


def _snippets(visit: Visit, progress: Progress, text: str) -> Mapping[str, Any]:
    mine = progress.bot
    tab = chosen(visit.request, "tab", TABS) or TABS[0]
    made = snippets(
        site=f"{visit.request.scheme}://{visit.request.get_host()}",
        bot="bot_…" if mine is None else mine.public_id,
        key=text or PLACEHOLDER,
        model=_model(visit),
    )
    return {"snippets": made, "tab": tab}


def _model(visit: Visit) -> str:
    """Return a chat model that the gateway answers for this account."""
    for upstream in gateway_selectors.upstreams(visit.account).filter(enabled=True):
        for name in upstream.chat_models:
            return str(name)
    return echo.CHAT_MODELS[0] if settings.GATEWAY_ECHO else "gpt-4o-mini"
