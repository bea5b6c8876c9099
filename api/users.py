"""The data of one end user: its erasure."""

from http import HTTPStatus
from typing import Final

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import keys
from accounts.errors import Forbidden, NotFound
from api.callers import Caller
from api.endpoint import Endpoint
from api.holds import need_account
from api.retention import RunAnswer
from api.retention_examples import ERASURE
from api.schema import operation
from retention.erasure import erase_user
from retention.exports import show_receipt
from retention.models import PruneRun

_LONGEST: Final = 256


class UserData(Endpoint):
    """Everything that there is of one end user."""

    scopes = {"DELETE": "conversations:write"}

    @operation(
        "users_erase",
        "Erase a user's data",
        answer=RunAnswer,
        shows=ERASURE,
    )
    def delete(self, request: Request, user: str) -> Response:
        """Delete the user's conversations and put a pseudonym into the records.

        Answered 200 with the receipt when all is done, 202 while the run goes on:
        read it at `/retention/runs/{id}`. 409 `held` if a legal hold covers any of
        it. People need to be owners (CONTRACT E4).
        """
        caller = self.caller
        need_account(caller)
        _need_owner(caller)
        if not _is_name(user):
            raise NotFound
        run = erase_user(
            account=caller.account,
            user=user,
            actor=caller.actor,
            now=timezone.now(),
        )
        done = run.state == PruneRun.State.COMPLETED
        status = HTTPStatus.OK if done else HTTPStatus.ACCEPTED
        return Response(show_receipt(run), status=status)


def _need_owner(caller: Caller) -> None:
    if caller.key is None and keys.EVERYTHING not in caller.scopes:
        raise Forbidden("Only an owner may erase a user's data.")


def _is_name(user: str) -> bool:
    storable = "\x00" not in user and not any("\ud800" <= c <= "\udfff" for c in user)
    return 0 < len(user) <= _LONGEST and storable
