"""The account itself: its settings, the people in it, and who is invited."""

import logging
from smtplib import SMTPException

from anymail.exceptions import AnymailError
from django.conf import settings as django_settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import selectors, services
from accounts.errors import DomainError
from accounts.models import Account, Invitation, Member
from accounts.services.administration import remove_member, update_account
from dashboard.account_forms import WEEK_DAYS, AccountForm, InviteForm, RoleForm
from dashboard.forms import ConfirmForm
from dashboard.joining import letter, link_of
from dashboard.visits import Visit, attempt, page, render
from policies.models import Policy
from policies.selectors import policies, rule_of
from retention.selectors import live_holds

logger = logging.getLogger(__name__)
# How many usage policies are looked at for what they do without a decision.
POLICIES = 500


@page()
def settings(visit: Visit) -> HttpResponse:
    """Show the settings, the people and the invitations."""
    return _show(visit)


@page(manage=True, methods=("POST",))
def save(visit: Visit) -> HttpResponse:
    """Change name, time zone, week and whether text is stored."""
    form = AccountForm(visit.request.POST)
    if not form.is_valid():
        return _show(visit, form=form)
    return attempt(
        visit,
        lambda: update_account(
            account=visit.account,
            changes=form.changes(),
            actor=visit.actor,
            now=visit.now,
        ),
        done=_("The settings are saved."),
        back=visit.address("settings"),
    )


@page(manage=True, methods=("POST",))
def invite(visit: Visit) -> HttpResponse:
    """Ask somebody in by e-mail."""
    form = InviteForm(visit.request.POST)
    if not form.is_valid():
        return _show(visit, invite_form=form)
    try:
        invitation = services.invite(
            account=visit.account,
            actor=visit.actor,
            now=visit.now,
            **form.cleaned_data,
        )
    except DomainError as error:
        form.blame(error)
        return _show(visit, invite_form=form)
    _send(visit, invitation)
    return HttpResponseRedirect(visit.address("settings") + "#people")


@page(manage=True, methods=("POST",))
def uninvite(visit: Visit, invitation_id: str) -> HttpResponse:
    """Take an invitation back."""
    invitation = selectors.invitation(visit.account, invitation_id)
    return attempt(
        visit,
        lambda: services.revoke_invitation(
            invitation=invitation, actor=visit.actor, now=visit.now
        ),
        done=_("The invitation of %(email)s is taken back.")
        % {"email": invitation.email},
        back=visit.address("settings") + "#people",
    )


@page(manage=True, methods=("POST",))
def change_role(visit: Visit, member_id: str) -> HttpResponse:
    """Give a member another role."""
    member = selectors.member(visit.account, member_id)
    form = RoleForm(visit.request.POST)
    back = visit.address("settings") + "#people"
    if not form.is_valid():
        messages.error(visit.request, " ".join(map(str, form.errors["role"])))
        return HttpResponseRedirect(back)
    role = Member.Role(form.cleaned_data["role"])
    return attempt(
        visit,
        lambda: services.add_member(
            account=visit.account,
            person=member.person,
            role=role,
            actor=visit.actor,
            now=visit.now,
        ),
        done=_("%(email)s is %(role)s now.")
        % {"email": member.person.email, "role": role.label},
        back=back,
    )


@page(manage=True, methods=("GET", "POST"))
def remove(visit: Visit, member_id: str) -> HttpResponse:
    """Ask, then take a member out of the account."""
    member = selectors.member(visit.account, member_id)
    data = visit.request.POST if visit.request.method == "POST" else None
    form = ConfirmForm(data, expected=member.person.email)
    if not form.is_valid():
        code = 422 if form.is_bound else 200
        context = {"member": member, "form": form}
        return render(
            visit, "member_remove.html", context, place="settings", status=code
        )
    why = form.cleaned_data["reason"]
    answer = attempt(
        visit,
        lambda: remove_member(
            member=member, actor=visit.actor, now=visit.now, reason=why
        ),
        done=_("%(email)s is no member any more.") % {"email": member.person.email},
        back=visit.address("settings") + "#people",
    )
    if _is_in(visit):
        return answer
    # Who has left themselves sees no page of the account any more.
    return HttpResponseRedirect(reverse("dashboard:accounts"))


def _is_in(visit: Visit) -> bool:
    mine = selectors.member_by_slug(slug=visit.account.slug, person=visit.person)
    return mine is not None


def _send(visit: Visit, invitation: Invitation) -> None:
    """Send the link; where mail fails, show it, so that it can be sent by hand."""
    link = link_of(invitation, visit.request)
    try:
        letter(visit.account, visit.person, invitation, link).send()
    except (SMTPException, OSError, AnymailError) as error:
        logger.warning("An invitation could not be sent: %s", type(error).__name__)
        text = _("The mail could not be sent. Send this link to %(email)s:") % {
            "email": invitation.email
        }
        messages.warning(visit.request, f"{text} {link}")
    else:
        messages.success(
            visit.request, _("%(email)s is invited.") % {"email": invitation.email}
        )


def _show(
    visit: Visit,
    *,
    form: AccountForm | None = None,
    invite_form: InviteForm | None = None,
) -> HttpResponse:
    people = [
        {"member": each, "form": RoleForm({"role": each.role}, prefix=None)}
        for each in selectors.members(visit.account)
    ]
    context = {
        "form": form or AccountForm(initial=AccountForm.of(visit.account)),
        "invite_form": invite_form or InviteForm(),
        "people": people,
        "invitations": selectors.open_invitations(visit.account, visit.now),
        "holds": live_holds(visit.account, visit.now).count(),
        "week_day": dict(WEEK_DAYS)[visit.account.week_start],
        "mail_language": _mail_language(visit.account),
        **_undecided(visit.account),
    }
    bad = (form and form.is_bound) or (invite_form and invite_form.is_bound)
    return render(
        visit, "settings.html", context, place="settings", status=422 if bad else 200
    )


def _mail_language(account: Account) -> str:
    names = dict(django_settings.LANGUAGES)
    return str(names[account.language or django_settings.LANGUAGE_CODE])


def _undecided(account: Account) -> dict[str, int]:
    """Return how many usage policies let calls pass while nothing can be decided."""
    written = policies(account, type=Policy.Type.USAGE)
    live = list(written.exclude(rollout_mode=Policy.Rollout.OFF)[:POLICIES])
    passing = sum(rule_of(policy).fail_mode == "open" for policy in live)
    return {"usage_policies": len(live), "passing": passing}
