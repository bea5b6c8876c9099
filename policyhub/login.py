"""Who may open a log-in."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class InvitedPeopleOnly(DefaultAccountAdapter):
    """An operator's installation: people are added by members, never by themselves."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
