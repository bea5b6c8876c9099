"""The API keys of an account. A key's text is shown once, when it is made."""

from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _

from accounts import selectors, services
from accounts.errors import DomainError, NotFound
from accounts.models import ApiKey
from dashboard.forms import ConfirmForm, KeyForm, KeyRotationForm
from dashboard.paging import page_of
from dashboard.snippets import env_line
from dashboard.visits import Visit, attempt, page, render, said

CHOICES = 500
OVERLAP_SECONDS = 86_400


@page(facts=True)
def listing(visit: Visit) -> HttpResponse:
    """List the keys."""
    return _list(visit)


@page(write=True, methods=("GET", "POST"))
def create(visit: Visit) -> HttpResponse:
    """Make a key and show its text, this one time."""
    form = _form(visit)
    made = _make(visit, form) if form.is_valid() else None
    if made is not None:
        return _show_once(visit, *made)
    code = 422 if form.is_bound else 200
    return render(visit, "key_form.html", {"form": form}, place="keys", status=code)


@page(write=True, methods=("GET", "POST"))
def rotate(visit: Visit, key_id: str) -> HttpResponse:
    """Ask, then make a key that replaces another, which stays good for a while."""
    key = selectors.key_of(visit.account, key_id)
    data = visit.request.POST if visit.request.method == "POST" else None
    form = KeyRotationForm(data)
    if not form.is_valid():
        code = 422 if form.is_bound else 200
        context = {"key": key, "form": form}
        return render(visit, "key_rotate.html", context, place="keys", status=code)
    overlap = form.cleaned_data["overlap"]
    overlap = OVERLAP_SECONDS if overlap is None else overlap
    try:
        made = services.rotate_key(
            key=key, overlap_seconds=overlap, actor=visit.actor, now=visit.now
        )
    except DomainError as error:
        messages.error(visit.request, said(error))
        return _list(visit, status=error.status)
    return _show_once(visit, *made)


@page(write=True, methods=("GET", "POST"))
def revoke(visit: Visit, key_id: str) -> HttpResponse:
    """Ask, then stop a key for good."""
    key = selectors.key_of(visit.account, key_id)
    data = visit.request.POST if visit.request.method == "POST" else None
    form = ConfirmForm(data, expected=key.last4)
    if not form.is_valid():
        code = 422 if form.is_bound else 200
        context = {"key": key, "form": form}
        return render(visit, "key_revoke.html", context, place="keys", status=code)
    why = form.cleaned_data["reason"]
    return attempt(
        visit,
        lambda: services.revoke_key(
            key=key, actor=visit.actor, now=visit.now, reason=why
        ),
        done=_("The key is revoked; the next call with it is refused."),
        back=visit.address("keys"),
    )


def _make(visit: Visit, form: KeyForm) -> tuple[ApiKey, str] | None:
    span = form.cleaned_data["expires"]
    try:
        return services.create_key(
            account=visit.account,
            expires_at=None if span is None else visit.now + span,
            actor=visit.actor,
            now=visit.now,
            **form.values(),
        )
    except NotFound:
        raise
    except DomainError as error:
        form.blame(error)
        return None


def _show_once(visit: Visit, key: ApiKey, text: str) -> HttpResponse:
    context = {
        "key": key,
        "text": text,
        "env_line": env_line(text),
        "site": f"{visit.request.scheme}://{visit.request.get_host()}",
    }
    return render(visit, "key_made.html", context, place="keys")


def _list(visit: Visit, *, status: int = 200) -> HttpResponse:
    shown = page_of(selectors.keys(visit.account), visit.request)
    rows = [
        {"key": key, "state": selectors.key_status(key, visit.now)}
        for key in shown.rows
    ]
    context = {"page": shown, "rows": rows}
    return render(visit, "keys.html", context, place="keys", status=status)


def _form(visit: Visit) -> KeyForm:
    data = visit.request.POST if visit.request.method == "POST" else None
    return KeyForm(
        data,
        bots=list(selectors.bots(visit.account)[:CHOICES]),
        projects=list(selectors.projects(visit.account)[:CHOICES]),
    )
