"""Policies: write, list, read, replace, patch, archive."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Forbidden, InvalidBody, NotFound
from api import examples
from api.callers import Caller, queried_bot, referred_bot, referred_project
from api.endpoint import Endpoint, tagged
from api.listing import PAGING, listed
from api.policy_answers import POLICY_REF, show_policies
from api.schema import filters, operation, page, raw_page_of
from policies.compat import from_kavach, is_kavach
from policies.models import Policy
from policies.rules import parse
from policies.selectors import applying_to, policies, policy_of
from usage import edits

WRITE_REF = {"$ref": "#/components/schemas/PolicyDocument"}
PATCH_REF = {"$ref": "#/components/schemas/PolicyPatch"}

# What an answer adds to a document. A document that was read may be sent back whole.
_ADDED = frozenset(
    {"id", "status", "revision", "project", "counting_since", "created_at"}
    | {"updated_at", "agentId", "userId", "tenantId", "action", "currentUsage"}
)


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


def document_of(caller: Caller, body: object) -> dict[str, Any]:
    """Return the canonical document of a body in our form or in KavachOS's (F2).

    Raises InvalidPolicy and UnknownReference.
    """
    if not is_kavach(body):
        return parse(body)
    draft = from_kavach(body)
    scope = {**draft.document.get("scope", {}), **_scope(caller, draft.references)}
    return parse({**draft.document, "scope": scope})


def patch_of(caller: Caller, body: object) -> dict[str, Any]:
    """Return the merge patch of a body in our form or in KavachOS's (F2).

    Raises InvalidBody, InvalidPolicy and UnknownReference.
    """
    if not isinstance(body, dict):
        raise InvalidBody(errors=[{"pointer": "", "detail": "must be an object"}])
    if not is_kavach(body):
        return body
    draft = from_kavach(body, partial=True)
    scope = {**draft.document.get("scope", {}), **_scope(caller, draft.references)}
    return {**draft.document, "scope": scope} if scope else draft.document


def _scope(
    caller: Caller, references: Mapping[str, str | None]
) -> dict[str, str | None]:
    scope: dict[str, str | None] = {}
    if "agentId" in references:
        agent = references["agentId"]
        found = None if agent is None else referred_bot(caller, agent, "/agentId")
        scope["bot"] = None if found is None else found.public_id
    if "tenantId" in references:
        tenant = references["tenantId"]
        if tenant in (None, caller.account.public_id, caller.account.slug):
            scope["project"] = None
        else:
            project = referred_project(caller, tenant, "/tenantId")
            scope["project"] = None if project is None else project.public_id
    return scope


def _without_added(body: object, policy: Policy) -> object:
    if not isinstance(body, dict) or body.get("id") != policy.public_id:
        return body
    return {name: value for name, value in body.items() if name not in _ADDED}


class Policies(Endpoint):
    """The policies of an account, the oldest first."""

    scopes = {"GET": "policies:read", "POST": "policies:write"}
    queries = PAGING | {"bot", "scope_bot", "type", "rollout_mode", "user", "model"}

    @operation(
        "policies_list",
        "List policies",
        answer=raw_page_of(POLICY_REF),
        shows=page(examples.POLICY),
        parameters=filters(
            bot="every policy that applies to this bot (id or external id)",
            user="with bot: that applies to this user",
            model="with bot: that applies to this model",
            scope_bot="only policies that are scoped to this bot",
            type="usage, retention or content",
            rollout_mode="off, shadow or enforce",
        ),
    )
    def get(self, request: Request) -> Response:
        """List policies."""
        now, caller = timezone.now(), self.caller
        rows = self._of_bots(visible_policies(caller))
        for name in ("type", "rollout_mode"):
            value = self.query(name)
            rows = rows if value is None else rows.filter(**{name: value})
        return listed(
            request, rows, show=lambda found: show_policies(caller, found, now)
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

    def _of_bots(self, rows: QuerySet[Policy]) -> QuerySet[Policy]:
        caller = self.caller
        scope_bot, ref = self.query("scope_bot"), self.query("bot")
        if scope_bot is not None:
            bot = queried_bot(caller, scope_bot)
            rows = rows.none() if bot is None else rows.filter(scope_bot=bot)
        if ref is None:
            return rows
        bot = queried_bot(caller, ref)
        if bot is None:
            return rows.none()
        governing = applying_to(
            caller.account, bot=bot, user=self.query("user"), model=self.query("model")
        )
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
        document = document_of(caller, _without_added(request.data, policy))
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
            patch=patch_of(caller, request.data),
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
