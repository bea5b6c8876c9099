"""The list of bots, and a bot: its state, what acts on it, and what to do about it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext

from accounts import selectors, services
from accounts.errors import DomainError, NotFound
from accounts.models import Bot
from audit.selectors import decisions
from dashboard.bot_rows import DAYS as LIST_DAYS
from dashboard.bot_rows import found, rows_of, seen_bot, sought
from dashboard.bot_states import WORDS, state_among
from dashboard.forms import BlockForm, BotForm, ConfirmForm, ReasonForm
from dashboard.gauges import Dial, dials_for_bot, names_of, subject_text
from dashboard.paging import page_of
from dashboard.usage_chart import chart_of_days
from dashboard.visits import Visit, attempt, page, render
from policies import services as policy_services
from policies.selectors import applying_to, blocks_of_bot
from usage.last_used import last_used, with_last_used

CHOICES = 500
DAYS = 14
DIALS = 12
KEYS = 20


@page()
def listing(visit: Visit) -> HttpResponse:
    """List the bots, by name, project and state."""
    projects = list(selectors.projects(visit.account)[:CHOICES])
    asked = sought(visit.request.GET, projects)
    wanted, states = found(visit.account, asked, projects, visit.now)
    shown = page_of(with_last_used(wanted), visit.request)
    context = {
        "page": shown,
        "rows": rows_of(visit.account, shown.rows, visit.now, states),
        "asked": asked,
        "projects": projects,
        "words": WORDS,
        "days": LIST_DAYS,
        "site": settings.POLICYHUB_SITE_URL.rstrip("/"),
    }
    return render(visit, "bots.html", context, place="bots")


@page()
def detail(visit: Visit, bot_id: str) -> HttpResponse:
    """Show a bot."""
    return _show(visit, seen_bot(visit.account, bot_id))


@page(write=True, methods=("GET", "POST"))
def create(visit: Visit) -> HttpResponse:
    """Register a bot."""
    form = _bot_form(visit)
    saved = _save(
        form,
        lambda values: services.create_bot(
            account=visit.account, actor=visit.actor, now=visit.now, **values
        ),
    )
    if saved is None:
        return _fill_in(visit, form)
    told = gettext("%(name)s is registered.") % {"name": saved.name}
    messages.success(visit.request, told)
    return HttpResponseRedirect(visit.address("bot", saved.public_id))


@page(write=True, methods=("GET", "POST"))
def edit(visit: Visit, bot_id: str) -> HttpResponse:
    """Change what a bot is called and where it belongs."""
    bot = selectors.bot_of(visit.account, bot_id)
    form = _bot_form(visit, bot)
    saved = _save(
        form,
        lambda values: services.update_bot(
            bot=bot, changes=values, actor=visit.actor, now=visit.now
        ),
    )
    if saved is None:
        return _fill_in(visit, form, bot)
    told = gettext("%(name)s is changed.") % {"name": saved.name}
    messages.success(visit.request, told)
    return HttpResponseRedirect(visit.address("bot", saved.public_id))


@page(write=True, methods=("POST",))
def block(visit: Visit, bot_id: str) -> HttpResponse:
    """Refuse every call of a bot, for a while or until it is unblocked."""
    bot = selectors.bot_of(visit.account, bot_id)
    form = BlockForm(visit.request.POST, auto_id="block_%s")
    if not form.is_valid():
        return _show(visit, bot, block_form=form)
    span, why = form.cleaned_data["seconds"], form.cleaned_data["reason"]
    ends_at = None if span is None else visit.now + span

    def act() -> object:
        return policy_services.block_bot(
            bot=bot, reason=why, actor=visit.actor, now=visit.now, ends_at=ends_at
        )

    return _back(visit, bot, act, gettext("%(name)s is blocked."))


@page(write=True, methods=("POST",))
def unblock(visit: Visit, bot_id: str) -> HttpResponse:
    """Lift what a person set against a bot, and what concerns it alone."""
    bot = selectors.bot_of(visit.account, bot_id)
    form = ReasonForm(visit.request.POST, auto_id="unblock_%s")
    if not form.is_valid():
        return _show(visit, bot, unblock_form=form)
    why = form.cleaned_data["reason"]

    def act() -> object:
        return policy_services.unblock_bot(
            bot=bot, actor=visit.actor, now=visit.now, reason=why
        )

    return _back(visit, bot, act, gettext("%(name)s is not blocked any more."))


@page(write=True, methods=("POST",))
def revoke(visit: Visit, bot_id: str) -> HttpResponse:
    """Take a bot's right to call, and the keys bound to it."""
    bot = selectors.bot_of(visit.account, bot_id)
    form = ConfirmForm(visit.request.POST, expected=bot.name, auto_id="revoke_%s")
    if not form.is_valid():
        return _show(visit, bot, revoke_form=form)
    why = form.cleaned_data["reason"]

    def act() -> object:
        return policy_services.revoke_bot(
            bot=bot, reason=why, actor=visit.actor, now=visit.now
        )

    told = gettext("%(name)s is revoked, and its keys with it.")
    return _back(visit, bot, act, told)


@page(write=True, methods=("POST",))
def restore(visit: Visit, bot_id: str) -> HttpResponse:
    """Let a revoked or disabled bot call again."""
    bot = selectors.bot_of(visit.account, bot_id)
    form = ReasonForm(visit.request.POST, auto_id="restore_%s")
    if not form.is_valid():
        return _show(visit, bot, restore_form=form)
    why = form.cleaned_data["reason"]

    def act() -> object:
        return policy_services.restore_bot(
            bot=bot, reason=why, actor=visit.actor, now=visit.now
        )

    told = gettext("%(name)s may call again; its keys stay revoked.")
    return _back(visit, bot, act, told)


@page(write=True, methods=("POST",))
def archive(visit: Visit, bot_id: str) -> HttpResponse:
    """Remove a bot for good."""
    bot = selectors.bot_of(visit.account, bot_id)
    form = ConfirmForm(visit.request.POST, expected=bot.name, auto_id="archive_%s")
    if not form.is_valid():
        return _show(visit, bot, archive_form=form)
    why = form.cleaned_data["reason"]
    return attempt(
        visit,
        lambda: services.archive_bot(
            bot=bot, actor=visit.actor, now=visit.now, reason=why
        ),
        done=gettext("%(name)s is archived.") % {"name": bot.name},
        back=visit.address("bots"),
    )


def _back(visit: Visit, bot: Bot, act: Callable[[], object], done: str) -> HttpResponse:
    told = done % {"name": bot.name}
    return attempt(visit, act, done=told, back=visit.address("bot", bot.public_id))


def _show(visit: Visit, bot: Bot, **bound: Any) -> HttpResponse:
    """Render a bot; a form that was not right comes back with what was typed."""
    policies = list(applying_to(visit.account, bot=bot))
    dials = dials_for_bot(visit.account, bot, policies, visit.now)
    blocks = blocks_of_bot(visit.account, bot, visit.now)
    context = {
        "bot": bot,
        "state": state_among(bot, blocks, dials),
        "last_used": last_used(bot),
        "keys": _keys(visit, bot),
        "blocks": [{"block": each, "subject": _subject(each, bot)} for each in blocks],
        "dials": [_dial(each, bot) for each in dials[:DIALS]],
        "policies": [{"policy": p, "names": names_of(p)} for p in policies],
        "chart": chart_of_days(visit.account, days=DAYS, now=visit.now, bot=bot),
        "decisions": _decisions(visit, bot),
        "block_form": BlockForm(auto_id="block_%s"),
        "unblock_form": ReasonForm(auto_id="unblock_%s"),
        "revoke_form": ConfirmForm(expected=bot.name, auto_id="revoke_%s"),
        "restore_form": ReasonForm(auto_id="restore_%s"),
        "archive_form": ConfirmForm(expected=bot.name, auto_id="archive_%s"),
        **bound,
    }
    code = 422 if bound else 200
    return render(visit, "bot.html", context, place="bots", status=code)


def _decisions(visit: Visit, bot: Bot) -> list[Any]:
    if not visit.may_audit:
        return []
    return list(decisions(visit.account, bot=bot.public_id)[:10])


def _keys(visit: Visit, bot: Bot) -> list[dict[str, Any]]:
    """Return the keys that are bound to a bot; they are not for viewers."""
    if not visit.may_audit:
        return []
    bound = selectors.keys(visit.account).filter(bot=bot).order_by("-id")
    return [
        {"key": key, "status": selectors.key_status(key, visit.now)}
        for key in bound[:KEYS]
    ]


def _dial(dial: Dial, bot: Bot) -> Dial:
    """Return a reading as the bot's own page says it: whose it is goes without."""
    others = [pair for pair in dial.reading.subject if pair[0] != "bot"]
    return replace(dial, subject=subject_text(others, names_of(dial.policy)))


def _subject(block: Any, bot: Bot) -> str:
    return subject_text(block.subject, {bot.public_id: bot.name})


def _bot_form(visit: Visit, bot: Bot | None = None) -> BotForm:
    data = visit.request.POST if visit.request.method == "POST" else None
    projects = list(selectors.projects(visit.account)[:CHOICES])
    return BotForm(data, projects=projects, bot=bot)


def _save(form: BotForm, write: Callable[[dict[str, Any]], Bot]) -> Bot | None:
    """Write what the form says; None before it was sent, or after saying why not."""
    if not form.is_valid():
        return None
    try:
        return write(form.values())
    except NotFound:
        raise
    except DomainError as error:
        form.blame(error)
        return None


def _fill_in(visit: Visit, form: BotForm, bot: Bot | None = None) -> HttpResponse:
    context = {"form": form, "bot": bot}
    code = 422 if form.is_bound else 200
    return render(visit, "bot_form.html", context, place="bots", status=code)
