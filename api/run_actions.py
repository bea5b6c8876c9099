"""What a person or a key does to a run that is under way: pause it, resume it."""

from collections.abc import Callable

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.bot_actions import ReasonBody
from api.endpoint import Endpoint
from api.holds import need_account
from api.retention import RunAnswer
from api.retention_examples import PAUSED, RESUMED
from api.schema import operation
from retention.exports import show_receipt
from retention.models import PruneRun
from retention.pausing import pause_run, resume_run
from retention.selectors import run_of


class RunAction(Endpoint):
    """Base of the routes below a run."""

    scopes = {"POST": "retention:write"}

    def act(self, service: Callable[..., PruneRun], run_id: str) -> Response:
        """Do one thing to a run, and answer it as it is then."""
        now, caller = timezone.now(), self.caller
        need_account(caller)
        run = run_of(caller.account, run_id)
        reason = self.body(ReasonBody)["reason"]
        changed = service(run=run, actor=caller.actor, reason=reason, now=now)
        return Response(show_receipt(changed))


class PauseRun(RunAction):
    """Pause a run."""

    @operation(
        "retention_pause_run",
        "Pause a run",
        request=ReasonBody,
        sends={"reason": "An audit is on"},
        answer=RunAnswer,
        shows=PAUSED,
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Let a policy's run delete nothing more until it is resumed."""
        return self.act(pause_run, run_id)


class ResumeRun(RunAction):
    """Resume a run."""

    @operation(
        "retention_resume_run",
        "Resume a run",
        request=ReasonBody,
        sends={"reason": "The audit is over"},
        answer=RunAnswer,
        shows=RESUMED,
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Let a paused run go on; the worker does so within a minute."""
        return self.act(resume_run, run_id)
