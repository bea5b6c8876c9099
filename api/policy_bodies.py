"""Bodies that write a policy: in our form, in KavachOS's, or as they were read (F2)."""

from collections.abc import Mapping
from typing import Any, Final

from accounts.errors import FieldError, InvalidBody
from api.callers import Caller, referred_bot, referred_project
from api.policy_answers import kavach_fields
from policies.compat import from_kavach, is_kavach
from policies.models import Policy
from policies.rules import parse

# What an answer adds to a document. A document that was read may be sent back whole.
_ADDED: Final = frozenset(
    {"id", "status", "revision", "project", "counting_since", "created_at"}
    | {"updated_at", "agentId", "userId", "tenantId", "action", "currentUsage"}
)


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


def without_added(caller: Caller, body: object, policy: Policy) -> object:
    """Return a body without what an answer adds, if it is an answer sent back.

    Raises InvalidBody when a field of KavachOS's form in it was changed: it would be
    anybody's guess which of the two forms is meant.
    """
    if not isinstance(body, dict) or body.get("id") != policy.public_id:
        return body
    if policy.type == Policy.Type.USAGE:
        _refuse_changed(body, kavach_fields(caller, policy))
    return {name: value for name, value in body.items() if name not in _ADDED}


def _refuse_changed(body: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    detail = "differs from scope or actions beside it; send the fields of one form"
    changed: list[FieldError] = [
        {"pointer": f"/{name}", "detail": detail}
        for name, value in current.items()
        if name in body and body[name] != value
    ]
    if changed:
        raise InvalidBody(errors=changed)
