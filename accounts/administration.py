"""Kinds of admin pages: facts, rows edited by services, and actions that ask first.

Nothing is written here: a page or an action translates, calls one service, and shows
what became of it. The service leaves the change record.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import translation
from django.utils.timezone import now
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.choosing import Chooser
from accounts.errors import DomainError
from accounts.models import Person

CONFIRMED = "confirmed"
REMAINING = "remaining"
# As long as one request works on many rows; then it says how far it is, and goes on.
STRETCH_SECONDS = 3.0
_LISTED = 50

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

Action = Callable[[ModelAdmin, HttpRequest, QuerySet[Any]], HttpResponse | None]


class Deed(NamedTuple):
    """What an action hands to its service, besides the row."""

    actor: Actor
    reason: str
    now: datetime


class Stretch(NamedTuple):
    """How far an action is: of how many rows, how many it did, and the keys left."""

    total: int
    did: int
    keys: list[str]


def actor_of(request: HttpRequest) -> Actor:
    """Return the admin who is logged in as the author of a change."""
    return Actor.person(cast("Person", request.user))


def explained(error: DomainError) -> str:
    """Return what a service refused, with the fields it named."""
    named = [f"{fault['pointer']}: {fault['detail']}" for fault in error.errors]
    return " ".join([error.detail, *(text for text in named if text[0] == "/")])


def service_action(
    *, description: "StrOrPromise", question: "StrOrPromise" = "", done: "StrOrPromise"
) -> Callable[[Callable[[Any, Deed], object]], Action]:
    """Make an admin action of a function that calls a service for one row.

    With a `question` it asks first, and for a reason. On many rows it works a few
    seconds at a time, and shows how far it is. `done` says what was done, as in
    “3 rows: blocked.” A row that the service refuses is named with the service's
    reason, and the others go on.
    """

    def decorate(perform: Callable[[Any, Deed], object]) -> Action:
        @admin.action(description=description, permissions=["act"])
        def action(
            model_admin: ModelAdmin,
            request: HttpRequest,
            rows: QuerySet[Any],
        ) -> HttpResponse | None:
            if question and CONFIRMED not in request.POST:
                return _ask(model_admin, request, rows, description, question)
            stretch = _perform_all(model_admin, request, rows, perform, done)
            if stretch.keys:
                return _show_progress(model_admin, request, stretch, description)
            _say_done(model_admin, request, stretch.did, done)
            return None

        # Django finds an action by its name, and two of them must not share one.
        action.__name__ = perform.__name__
        return cast("Action", action)

    return decorate


def _ask(
    model_admin: ModelAdmin,
    request: HttpRequest,
    rows: QuerySet[Any],
    description: "StrOrPromise",
    question: "StrOrPromise",
) -> HttpResponse:
    count = rows.count()
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": description,
        "question": question,
        "count": count,
        "rows": list(rows[:_LISTED]),
        "more": max(count - _LISTED, 0),
        "action": request.POST["action"],
        "across": request.POST.get("select_across", "0"),
        "selected": request.POST.getlist("_selected_action"),
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)


def _perform_all(
    model_admin: ModelAdmin,
    request: HttpRequest,
    rows: QuerySet[Any],
    perform: Callable[[Any, Deed], object],
    done: "StrOrPromise",
) -> Stretch:
    """Do one row after the other until the stretch of time is over."""
    deed = Deed(actor_of(request), request.POST.get("reason", "").strip(), now())
    keys = _keys(request, rows)
    total, count = _number(request, "total") or len(keys), _number(request, "count")
    ends = monotonic() + STRETCH_SECONDS
    while keys:
        # One that has gone since needs nothing more.
        row = model_admin.get_queryset(request).filter(pk=keys.pop(0)).first()
        if row is not None and _perform(model_admin, request, row, perform, deed):
            # The log is one for all admins, whatever each of them reads.
            with translation.override("en"):
                told = f"{done}. {deed.reason}".strip()
                model_admin.log_change(request, row, told)
            count += 1
        if monotonic() > ends:
            break
    return Stretch(total, count, keys)


def _say_done(
    model_admin: ModelAdmin, request: HttpRequest, count: int, done: "StrOrPromise"
) -> None:
    if count:
        told = ngettext("%(count)s row: %(done)s.", "%(count)s rows: %(done)s.", count)
        values = {"count": count, "done": done}
        model_admin.message_user(request, told % values, messages.SUCCESS)


def _keys(request: HttpRequest, rows: QuerySet[Any]) -> list[str]:
    """Return the keys of the rows: those that are left, or all that were chosen."""
    if REMAINING not in request.POST:
        return [str(key) for key in rows.values_list("pk", flat=True)]
    try:
        left = json.loads(request.POST[REMAINING])
    except ValueError:
        return []
    if not isinstance(left, list):
        return []
    return [key for key in left if _is_key(rows.model, key)]


def _is_key(model: type[models.Model], value: object) -> bool:
    try:
        model._meta.pk.to_python(value)  # noqa: SLF001
    except ValidationError:
        return False
    return isinstance(value, str)


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _show_progress(
    model_admin: ModelAdmin,
    request: HttpRequest,
    stretch: Stretch,
    description: "StrOrPromise",
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": description,
        "address": request.get_full_path(),
        "action": request.POST["action"],
        "reason": request.POST.get("reason", ""),
        "seen": stretch.total - len(stretch.keys),
        "total": stretch.total,
        "count": stretch.did,
        "next": stretch.keys[0],
        "remaining": json.dumps(stretch.keys),
    }
    return TemplateResponse(request, "admin/action_progress.html", context)


def _perform(
    model_admin: ModelAdmin,
    request: HttpRequest,
    row: Any,
    perform: Callable[[Any, Deed], object],
    deed: Deed,
) -> bool:
    try:
        perform(row, deed)
    except DomainError as error:
        text = f"{row}: {explained(error)}"
        model_admin.message_user(request, text, messages.ERROR)
        return False
    return True


class RowList(ChangeList):
    """A list whose address may say what cannot be meant: Django lets that go."""

    def get_filters(self, request: HttpRequest) -> Any:
        """Refuse what the calendar or the database would fail at."""
        for name, texts in request.GET.lists():
            if any(_is_odd(name, text) for text in texts):
                raise IncorrectLookupParameters
        return super().get_filters(request)


def _is_odd(name: str, text: str) -> bool:
    if name == SEARCH_VAR:
        return False  # the search form says so itself
    dated = name.endswith(("__year", "__month", "__day"))
    return "\x00" in text or (dated and not re.fullmatch(r"[1-9]\d{0,3}", text))


class ActingAdmin(ModelAdmin):
    """Lets actions run for those who may change the model, though nobody edits it."""

    show_full_result_count = False
    list_per_page = 50

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Say whether the person may run this model's actions."""
        codename = get_permission_codename("change", self.opts)
        user = cast("Person", request.user)
        return user.has_perm(f"{self.opts.app_label}.{codename}")

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Let rows be searched for by a widget that the strict policy allows."""
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", Chooser(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """List the rows so that no address breaks the list."""
        return RowList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out Django's own deletion: nothing is deleted behind a service."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


class FactAdmin(ActingAdmin):
    """Rows that are read: nobody adds, changes or deletes one by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Facts are written by what happens."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        """Facts stay."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        """Facts go by retention only."""
        return False


class ServiceAdmin(ActingAdmin):
    """Rows that a form may edit, each save by one call of a service.

    A subclass says in `write` which service it is.
    """

    def has_delete_permission(
        self, request: HttpRequest, obj: models.Model | None = None
    ) -> bool:
        """Rows are archived or removed by actions, with their reasons."""
        return False

    def write(self, row: Any, changes: dict[str, Any], deed: Deed, *, new: bool) -> Any:
        """Call the service; return the row that it wrote."""
        raise NotImplementedError

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Hand what the form changed to the service."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        deed = Deed(actor_of(request), "", now())
        obj.id = self.write(obj, changes, deed, new=not change).id

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form; what the service refuses is said above it."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            self.message_user(request, explained(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
