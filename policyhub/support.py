"""What an admin needs to see of an account to help, without being one of its people.

It only reads, shows neither prompts nor secrets, and says by what the account's own
people would see the same. That somebody looked stands in the admin's log.
"""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts import selectors
from accounts.models import Account, Person
from alerts.selectors import open_alerts, outbox_of, webhooks
from policies.models import Policy
from policies.selectors import bot_pauses, policies
from retention.selectors import live_holds, runs
from usage.selectors import latest_event, statuses

_SHOWN = 25


@require_safe
def show(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show an account as those who support it need it."""
    page = admin.site.get_model_admin(Account)
    person = request.user
    if not isinstance(person, Person) or not page.has_view_permission(request):
        raise PermissionDenied
    account = get_object_or_404(page.get_queryset(request), pk=account_id)
    LogEntry.objects.log_actions(
        person.pk,
        [account],
        CHANGE,
        _("Support view opened."),
        single_object=True,
    )
    context = {
        **admin.site.each_context(request),
        **_facts(account),
        "opts": Account._meta,  # noqa: SLF001
        "title": _("Support view of %(account)s") % {"account": account},
    }
    return TemplateResponse(request, "admin/accounts/account/support.html", context)


def _facts(account: Account) -> dict[str, Any]:
    moment = now()
    bots = list(selectors.bots(account).order_by("-id")[:_SHOWN])
    pauses = bot_pauses(account, bots, moment)
    written = list(policies(account).order_by("-id")[:_SHOWN])
    usage = [policy for policy in written if policy.type == Policy.Type.USAGE]
    stand = statuses(account=account, policies=usage, now=moment)
    keys = selectors.keys(account).order_by("-id")[:_SHOWN]
    return {
        "account": account,
        "counts": _counts(account),
        "members": selectors.members(account),
        "bots": [(bot, pauses.get(bot.id)) for bot in bots],
        "policies": [
            (policy, stand.get(policy.public_id, policy.rollout_mode))
            for policy in written
        ],
        "keys": [(key, selectors.key_status(key, moment)) for key in keys],
        "alerts": open_alerts(account).order_by("-id")[:_SHOWN],
        "webhooks": webhooks(account)[:_SHOWN],
        "runs": runs(account)[:5],
        "holds": live_holds(account, moment)[:_SHOWN],
        "changes": selectors.changes(account).order_by("-id")[:_SHOWN],
        "outbox": outbox_of(account, moment),
        "latest": latest_event(account),
    }


def _counts(account: Account) -> dict[str, int]:
    counted: dict[str, int] = Account.objects.filter(id=account.id).aggregate(
        bots=Count("bots", distinct=True),
        keys=Count("api_keys", distinct=True),
        members=Count("members", distinct=True),
        projects=Count("projects", distinct=True),
    )
    return counted
