"""Who gets alerts by mail, whether it reaches them, and a test to see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from accounts.models import Member
from accounts.selectors import members
from alerts import selectors
from alerts.models import Delivery, Recipient, Undeliverable
from alerts.services.recipients import send_test
from dashboard.visits import Visit, attempt, page, render
from policies.models import Policy
from policies.selectors import policies

CHOICES = 500


@dataclass(slots=True)
class Told:
    """One address: why it is told, and whether mail reaches it."""

    address: str
    member: Member | None = None
    asked: Recipient | None = None
    bounced: Undeliverable | None = None
    last: Delivery | None = None
    policies: list[Policy] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The state: bounced, member, confirmed, asked or new."""
        if self.bounced is not None:
            return "bounced"
        if self.member is not None:
            return "member"
        if self.asked is None:
            return "new"
        return "asked" if self.asked.confirmed_at is None else "confirmed"

    @property
    def is_reached(self) -> bool:
        """Whether mail goes there at all."""
        return self.state in ("member", "confirmed")


class AddressForm(forms.Form):
    """The address that a test goes to."""

    address = forms.CharField(max_length=320)


@page(facts=True)
def listing(visit: Visit) -> HttpResponse:
    """List the addresses that policies and the account's owners make recipients."""
    told = list(_told(visit).values())
    return render(visit, "recipients.html", {"told": told}, place="alerts")


@page(write=True, methods=("POST",))
def test(visit: Visit) -> HttpResponse:
    """Send a test to one of these addresses, and to no other."""
    form = AddressForm(visit.request.POST)
    form.is_valid()
    wanted = str(form.cleaned_data.get("address", "")).lower()
    found = _told(visit).get(wanted)
    if found is None:
        messages.error(visit.request, _("Nobody with this address is told."))
        return HttpResponseRedirect(visit.address("recipients"))
    return attempt(
        visit,
        lambda: send_test(
            account=visit.account,
            address=found.address,
            actor=visit.actor,
            now=visit.now,
        ),
        done=_("A test to %(address)s goes out within half a minute.")
        % {"address": found.address},
        back=visit.address("recipients"),
    )


def _told(visit: Visit) -> Mapping[str, Told]:
    """Return every recipient by its address in lower case, owners first."""
    found: dict[str, Told] = {}
    people = list(members(visit.account))
    by_mail = {each.person.email.lower(): each for each in people}
    for each in people:
        if each.role == Member.Role.OWNER and each.person.is_active:
            _add(found, each.person.email)
    for policy in policies(visit.account)[:CHOICES]:
        for address in _addresses(policy.document):
            _add(found, address).policies.append(policy)
    for asked in selectors.recipients(visit.account)[:CHOICES]:
        _add(found, asked.address).asked = asked
    bounced = selectors.undeliverable(list(found))
    last = selectors.last_mails(
        visit.account, [each.address for each in found.values()]
    )
    for lowered, told in found.items():
        mine = by_mail.get(lowered)
        told.member = mine if mine is not None and mine.person.is_active else None
        told.bounced = bounced.get(lowered)
        told.last = last.get(told.address)
    return found


def _addresses(document: Mapping[str, Any]) -> Sequence[str]:
    action = document.get("actions", {}).get("email") or {}
    return action.get("to") or ()


def _add(found: dict[str, Told], address: str) -> Told:
    return found.setdefault(address.lower(), Told(address))
