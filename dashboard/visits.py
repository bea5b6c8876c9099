"""Who visits which account, and what they may do there.

Every page of an account is wrapped in `page`. It answers a stranger with the same 404
as an account that does not exist (CONTRACT G2), reads the clock once, and shows times
in the account's zone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.shortcuts import render as render_template
from django.urls import is_valid_path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from accounts import selectors
from accounts.actors import Actor
from accounts.errors import DomainError, NotFound
from accounts.models import Account, Member, Person
from accounts.saying import say
from alerts.selectors import inbox

P = ParamSpec("P")
WRITERS: Final = frozenset({Member.Role.OWNER, Member.Role.OPERATOR})
READERS_OF_FACTS: Final = WRITERS | {Member.Role.AUDITOR}


class Entry(NamedTuple):
    """One line of the navigation."""

    address: str
    icon: str
    label: str
    current: bool
    badge: int


class Place(NamedTuple):
    """A page of the navigation; `facts` ones are not for viewers.

    `first` ones are for those who write, until the first steps are done.
    """

    name: str
    icon: str
    label: str
    facts: bool = False
    first: bool = False


PLACES: Final = (
    Place("start", "rocket", _("Get started"), first=True),
    Place("overview", "gauge", _("Overview")),
    Place("usage", "chart-column", _("Usage")),
    Place("policies", "shield", _("Policies")),
    Place("bots", "bot", _("Bots")),
    Place("alerts", "bell", _("Alerts")),
    Place("conversations", "messages-square", _("Conversations")),
    Place("retention", "timer", _("Retention")),
    Place("decisions", "scale", _("Decisions"), facts=True),
    Place("keys", "key-round", _("API keys"), facts=True),
    Place("webhooks", "webhook", _("Webhooks")),
    Place("gateway", "route", _("Gateway")),
    Place("try", "flask-conical", _("Sandbox")),
    Place("settings", "settings", _("Settings")),
    Place("status", "activity", _("Status")),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A member at a page of their account, at one moment."""

    request: HttpRequest
    person: Person
    account: Account
    member: Member
    now: datetime

    @property
    def may_write(self) -> bool:
        """Whether the member may change anything."""
        return self.member.role in WRITERS

    @property
    def may_manage(self) -> bool:
        """Whether the member may change the account itself and who is in it."""
        return self.member.role == Member.Role.OWNER

    @property
    def may_audit(self) -> bool:
        """Whether the member may see decisions and keys."""
        return self.member.role in READERS_OF_FACTS

    @property
    def actor(self) -> Actor:
        """The member as the author of a change."""
        return Actor.person(self.person)

    def address(self, name: str, *args: object) -> str:
        """Return the address of one of this account's pages."""
        return reverse(f"dashboard:{name}", args=[self.account.slug, *args])


def page(
    *,
    write: bool = False,
    facts: bool = False,
    manage: bool = False,
    methods: tuple[str, ...] = ("GET",),
) -> Callable[
    [Callable[Concatenate[Visit, P], HttpResponse]], Callable[..., HttpResponse]
]:
    """Make a view of an account's page out of a function of the visit.

    A GET of what only takes forms leads to the page above it.

    `write`: for owners and operators alone. `facts`: not for viewers. `manage`: for
    owners alone.
    """
    allowed = {*methods, "HEAD"} if "GET" in methods else set(methods)

    def wrap(
        view: Callable[Concatenate[Visit, P], HttpResponse],
    ) -> Callable[..., HttpResponse]:
        @wraps(view)
        @login_required
        def answer(
            request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponse:
            known = request.method in allowed
            if not known and request.method != "GET":
                return HttpResponseNotAllowed(sorted(allowed))
            try:
                visit = _visit(request, slug)
                _admit(visit, write=write, facts=facts, manage=manage)
                if not known:
                    # Where a form is sent to, as after a log-in or a reload.
                    return HttpResponseRedirect(_above(request.path))
                with timezone.override(ZoneInfo(visit.account.timezone)):
                    return view(visit, *args, **kwargs)
            except NotFound as error:
                raise Http404 from error

        return answer

    return wrap


def render(
    visit: Visit,
    template: str,
    context: Mapping[str, Any],
    *,
    place: str = "",
    status: int = 200,
) -> HttpResponse:
    """Render a page; `place` is its part of the navigation."""
    frame = {
        "visit": visit,
        "now": visit.now,
        "navigation": _navigation(visit, place),
    }
    answer = render_template(
        visit.request, f"dashboard/{template}", {**frame, **context}, status=status
    )
    answer["Cache-Control"] = "no-store"
    return answer


def attempt(
    visit: Visit, act: Callable[[], object], *, done: str, back: str
) -> HttpResponse:
    """Do one thing, say whether it worked, and go back to a page."""
    try:
        act()
    except NotFound:
        raise
    except DomainError as error:
        messages.error(visit.request, said(error))
    else:
        messages.success(visit.request, done)
    return HttpResponseRedirect(back)


def said(error: DomainError) -> str:
    """Return an error as people read it, with what it says of each field."""
    details = [f"{each['pointer']}: {say(each['detail'])}" for each in error.errors]
    return " ".join([say(error.detail), *details])


def _above(path: str) -> str:
    """Return the nearest address above a path of an account that leads somewhere."""
    _, app, slug, *rest = path.rstrip("/").split("/")
    for count in range(len(rest) - 1, 0, -1):
        above = "/".join(["", app, slug, *rest[:count], ""])
        if is_valid_path(above):
            return above
    return f"/{app}/{slug}/"


def _visit(request: HttpRequest, slug: str) -> Visit:
    person = request.user
    if not isinstance(person, Person):
        raise NotFound
    member = selectors.member_by_slug(slug=slug, person=person)
    if member is None:
        raise NotFound
    return Visit(request, person, member.account, member, timezone.now())


def _admit(visit: Visit, *, write: bool, facts: bool, manage: bool) -> None:
    wanted = (
        (write, visit.may_write),
        (facts, visit.may_audit),
        (manage, visit.may_manage),
    )
    if not all(allowed for asked, allowed in wanted if asked):
        raise PermissionDenied


def _navigation(visit: Visit, place: str) -> list[Entry]:
    unseen = inbox(visit.account, "open", visit.now).count()
    return [
        Entry(
            address=visit.address(each.name),
            icon=each.icon,
            label=gettext(each.label),
            current=each.name == place,
            badge=unseen if each.name == "alerts" else 0,
        )
        for each in PLACES
        if _shown(visit, each)
    ]


def _shown(visit: Visit, place: Place) -> bool:
    if place.first:
        return visit.may_write and visit.account.started_at is None
    return visit.may_audit or not place.facts
