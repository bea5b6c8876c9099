"""Policies: write, list, read, replace, patch, archive."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Forbidden, NotFound
from api import examples
from api.callers import (
    Caller,
    queried_bot,
    queried_project,
)
from api.endpoint import Endpoint, invalid_query, tagged
from api.listing import PAGING, listed
from api.policy_answers import POLICY_REF, show_policies
from api.policy_bodies import document_of, patch_of, without_added
from api.schema import filters, operation, page, raw_page_of
from policies.models import Policy
from policies.rules import METRICS, POLICY_TYPES, ROLLOUT_MODES
from policies.selectors import applying_to, policies, policy_of
from usage import edits
from usage.selectors import statuses

WRITE_REF = {"$ref": "#/components/schemas/PolicyDocument"}
PATCH_REF = {"$ref": "#/components/schemas/PolicyPatch"}

_WORDS: Final = {
    "type": POLICY_TYPES,
    "status": ("active", "triggered", "disabled"),
    "metric": METRICS,
    "rollout": ROLLOUT_MODES,
    "rollout_mode": ROLLOUT_MODES,
}


def visible_policies(caller: Caller) -> QuerySet[Policy]:
    """Return the live policies that a caller may know of (CONTRACT G7)."""
    found = policies(caller.account, project=caller.project)
    if caller.bot is not None:
        found = found.filter(id__in=applying_to(caller.account, bot=caller.bot))
    return found


def visible_policy(caller: Caller, public_id: str) -> Policy:
    """Return one of these policies. Raises NotFound."""
    policy = policy_of(caller.account, public_id, caller.project)
    if not visible_policies(caller).filter(id=policy.id).exists():
        raise NotFound
    return policy


def own_policy(caller: Caller, public_id: str) -> Policy:
    """Return a policy that a caller may write.

    Raises NotFound, and Forbidden for one it may only read: a key of a project writes
    its project's policies alone, a key of a bot none.
    """
    return may_write(caller, visible_policy(caller, public_id))


def may_write(caller: Caller, policy: Policy) -> Policy:
    """Return a policy that a caller sees, if it may write it too. Raises Forbidden."""
    caller.need_unbound()
    if caller.project is not None and policy.project_id != caller.project.id:
        raise Forbidden("Only keys of the account write policies that all share.")
    return policy


def show_policy(caller: Caller, policy: Policy, *, status: int = 200) -> Response:
    """Answer one policy, with its ETag."""
    shown = show_policies(caller, [policy], timezone.now())[0]
    return tagged(dict(shown), status=status)


class Policies(Endpoint):
    """The policies of an account, the oldest first."""

    scopes = {"GET": "policies:read", "POST": "policies:write"}
    queries = PAGING | {"bot", "scope_bot", "project", "user", "model", *_WORDS}

    @operation(
        "policies_list",
        "List policies",
        answer=raw_page_of(POLICY_REF),
        shows=page(examples.POLICY),
        parameters=filters(
            bot="every policy that applies to this bot (id or external id)",
            user="only policies scoped to this user; with bot: that apply to it",
            model="only policies scoped to this model; with bot: that apply to it",
            scope_bot="only policies that are scoped to this bot",
            project="that belong or are scoped to this project (id or external id)",
            type="usage, retention or content",
            status="active, triggered or disabled",
            metric="with a limit on this metric",
            rollout="off, shadow or enforce",
            rollout_mode="the same as rollout",
        ),
    )
    def get(self, request: Request) -> Response:
        """List policies."""
        now, caller = timezone.now(), self.caller
        rows = self._by_words(self._by_scope(visible_policies(caller)))
        return listed(
            request,
            rows,
            show=lambda found: show_policies(caller, found, now),
            keep=self._with_status(now),
        )

    @operation(
        "policies_create",
        "Write a policy",
        request=WRITE_REF,
        sends=examples.POLICY_SENT,
        answer=POLICY_REF,
        shows=examples.POLICY,
        status=201,
    )
    def post(self, request: Request) -> Response:
        """Write a policy; it counts from now on."""
        caller = self.caller
        caller.need_unbound()
        document = document_of(caller, request.data)
        policy = edits.create_policy(
            account=caller.account,
            document=document,
            actor=caller.actor,
            now=timezone.now(),
            project=caller.project,
        )
        return show_policy(caller, policy, status=201)

    def _by_words(self, rows: QuerySet[Policy]) -> QuerySet[Policy]:
        given = {name: self.query(name) for name in _WORDS}
        for name, value in given.items():
            if value is not None and value not in _WORDS[name]:
                known = ", ".join(_WORDS[name])
                raise invalid_query(name, f"must be one of: {known}")
        for mode in (given["rollout"], given["rollout_mode"]):
            rows = rows if mode is None else rows.filter(rollout_mode=mode)
        if given["type"] is not None:
            rows = rows.filter(type=given["type"])
        if given["metric"] is not None:
            rows = rows.filter(limits__contains=[{"metric": given["metric"]}])
        if given["status"] == "disabled":
            rows = rows.filter(rollout_mode=Policy.Rollout.OFF)
        elif given["status"] is not None:
            rows = rows.exclude(rollout_mode=Policy.Rollout.OFF)
        if given["status"] == "triggered":
            rows = rows.filter(type=Policy.Type.USAGE)
        return rows

    def _with_status(
        self, now: datetime
    ) -> Callable[[Sequence[Policy]], list[Policy]] | None:
        """Return what keeps policies of the asked status, which no column holds."""
        wanted, account = self.query("status"), self.caller.account
        if wanted in (None, "disabled"):
            return None

        def keep(found: Sequence[Policy]) -> list[Policy]:
            status = statuses(account=account, policies=found, now=now)
            return [each for each in found if status[each.public_id] == wanted]

        return keep

    def _by_scope(self, rows: QuerySet[Policy]) -> QuerySet[Policy]:
        caller = self.caller
        scope_bot, project = self.query("scope_bot"), self.query("project")
        if scope_bot is not None:
            bot = queried_bot(caller, scope_bot)
            rows = rows.none() if bot is None else rows.filter(scope_bot=bot)
        if project is not None:
            named = queried_project(caller, project)
            if named is None:
                return rows.none()
            rows = rows.filter(Q(project=named) | Q(scope_project=named))
        ref, user, model = self.query("bot"), self.query("user"), self.query("model")
        if ref is None:
            scoped = {"scope_user": user, "scope_model": model}
            named_only = {name: each for name, each in scoped.items() if each}
            return rows.filter(**named_only)
        bot = queried_bot(caller, ref)
        if bot is None:
            return rows.none()
        governing = applying_to(caller.account, bot=bot, user=user, model=model)
        return rows.filter(id__in=governing.values("id"))


class OnePolicy(Endpoint):
    """One policy."""

    scopes = {
        "GET": "policies:read",
        "PUT": "policies:write",
        "PATCH": "policies:write",
        "DELETE": "policies:write",
    }

    @operation(
        "policies_read", "Read a policy", answer=POLICY_REF, shows=examples.POLICY
    )
    def get(self, request: Request, policy_id: str) -> Response:
        """Read a policy."""
        return show_policy(self.caller, visible_policy(self.caller, policy_id))

    @operation(
        "policies_replace",
        "Replace a policy",
        request=WRITE_REF,
        sends=examples.POLICY_SENT,
        answer=POLICY_REF,
        shows={**examples.POLICY, "revision": 2},
    )
    def put(self, request: Request, policy_id: str) -> Response:
        """Give a policy a new document; unchanged limits go on counting."""
        caller = self.caller
        policy = own_policy(caller, policy_id)
        expected = self.expected_revision(policy.revision)
        document = document_of(caller, without_added(caller, request.data, policy))
        changed = edits.replace_policy(
            policy=policy,
            document=document,
            actor=caller.actor,
            now=timezone.now(),
            expected_revision=expected,
        )
        return show_policy(caller, changed)

    @operation(
        "policies_update",
        "Change a policy",
        request=PATCH_REF,
        sends={"rollout_mode": "shadow"},
        answer=POLICY_REF,
        shows={**examples.POLICY, "rollout_mode": "shadow", "revision": 2},
    )
    def patch(self, request: Request, policy_id: str) -> Response:
        """Merge a patch (RFC 7396) into a policy's document."""
        caller = self.caller
        policy = own_policy(caller, policy_id)
        expected = self.expected_revision(policy.revision)
        changed = edits.patch_policy(
            policy=policy,
            patch=patch_of(caller, without_added(caller, request.data, policy)),
            actor=caller.actor,
            now=timezone.now(),
            expected_revision=expected,
        )
        return show_policy(caller, changed)

    @operation(
        "policies_archive", "Archive a policy", answer=None, shows=None, status=204
    )
    def delete(self, request: Request, policy_id: str) -> Response:
        """Stop a policy for good and lift its blocks; its history stays."""
        caller = self.caller
        policy = own_policy(caller, policy_id)
        expected = self.expected_revision(policy.revision)
        edits.archive_policy(
            policy=policy,
            actor=caller.actor,
            now=timezone.now(),
            expected_revision=expected,
        )
        return Response(status=204)
