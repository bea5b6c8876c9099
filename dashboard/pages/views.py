"""The saved views of a person: one page for those of each page that has filters."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accounts.errors import Conflict
from accounts.models import SavedView
from accounts.saying import say
from accounts.selectors import saved_view_of
from accounts.services import delete_view, save_view
from dashboard.paging import chosen
from dashboard.saved_views import ViewForm, may_see, tidied, views_of
from dashboard.visits import Visit, page, render


@page(methods=("GET", "POST"))
def listing(visit: Visit) -> HttpResponse:
    """List the views of a page, save another one, or delete one."""
    of = chosen(visit.request, "of", SavedView.Page.values) or SavedView.Page.USAGE
    if not may_see(visit, of):
        raise PermissionDenied
    if visit.request.method != "POST":
        query = tidied(visit, of, visit.request.GET.get("query", ""))
        return _show(visit, of, ViewForm(initial={"query": query}), query)
    if "delete" in visit.request.POST:
        return _delete(visit, of, visit.request.POST["delete"])
    query = tidied(visit, of, visit.request.POST.get("query", ""))
    form = ViewForm({"name": visit.request.POST.get("name", ""), "query": query})
    if form.is_valid() and _saved(visit, of, form):
        name = form.cleaned_data["name"]
        messages.success(visit.request, _("%(name)s is saved.") % {"name": name})
        return HttpResponseRedirect(f"{visit.address(of)}?{query}")
    return _show(visit, of, form, query, status=422)


def _delete(visit: Visit, of: str, view_id: str) -> HttpResponse:
    """Forget a view; another person's is as absent as none."""
    view = saved_view_of(visit.account, visit.person, view_id)
    delete_view(view=view)
    told = _("%(name)s is deleted.") % {"name": view.name}
    messages.success(visit.request, told)
    return HttpResponseRedirect(f"{visit.address('views')}?of={of}")


def _saved(visit: Visit, of: str, form: ViewForm) -> bool:
    try:
        save_view(
            account=visit.account,
            person=visit.person,
            page=of,
            now=visit.now,
            **form.cleaned_data,
        )
    except Conflict as error:
        form.add_error("name", say(error.detail))
    return not form.errors


def _show(
    visit: Visit, of: str, form: ViewForm, query: str, *, status: int = 200
) -> HttpResponse:
    context = {
        "of": of,
        "label": SavedView.Page(of).label,
        "form": form,
        "views": views_of(visit, of, query),
        "back": visit.address(of),
        "tabs": [each for each in SavedView.Page if may_see(visit, each)],
    }
    return render(visit, "views.html", context, place=of, status=status)
