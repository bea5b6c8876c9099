"""Sample data: an account of its own beside an empty one, filled by the worker."""

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext

from accounts import services
from accounts.errors import DomainError
from dashboard.visits import Visit, attempt, page, render

_FULL = 100


@page(manage=True, methods=("POST",))
def load(visit: Visit) -> HttpResponse:
    """Make the account's sample, or join it, and go there."""
    # Translators: the name of an account with invented data; kept as it is made.
    name = gettext("Sample data of %(name)s") % {"name": visit.account.name[:150]}
    try:
        sample = services.open_sample(
            account=visit.account, owner=visit.person, name=name, now=visit.now
        )
    except DomainError:
        return HttpResponseRedirect(visit.address("overview"))
    return HttpResponseRedirect(reverse("dashboard:overview", args=[sample.slug]))


@page()
def progress(visit: Visit) -> HttpResponse:
    """Show how much of the sample is there: a fragment that asks again until it is."""
    if not visit.account.is_sample:
        return HttpResponse(status=204)
    if visit.account.sample_percent == _FULL:
        answer = HttpResponse()
        # What stands below the banner was drawn when less of it was there.
        answer["HX-Refresh"] = "true"
        return answer
    return render(visit, "parts/sample_progress.html", {})


@page(manage=True, methods=("POST",))
def remove(visit: Visit) -> HttpResponse:
    """Leave a sample account for good; the worker deletes what is in it."""
    parent, home = visit.account.sample_of, reverse("dashboard:accounts")
    if parent is not None and parent.members.filter(person=visit.person).exists():
        home = reverse("dashboard:overview", args=[parent.slug])
    return attempt(
        visit,
        lambda: services.remove_sample(
            account=visit.account, actor=visit.actor, now=visit.now
        ),
        done=gettext("The sample data is removed."),
        back=home,
    )
