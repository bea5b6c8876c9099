"""What a policy's document refers to, found in the account or refused (CONTRACT G2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accounts.errors import FieldError, NotFound, UnknownReference
from accounts.models import Account, Bot, Project
from accounts.selectors import bot_by_reference, project_by_reference
from alerts.selectors import unknown_webhooks
from policies.patterns import refuse_bad_patterns


@dataclass(slots=True)
class Resolved:
    """A document whose scope holds public ids, and the rows it names."""

    document: dict[str, Any]
    project: Project | None = None
    bot: Bot | None = None
    problems: list[FieldError] = field(default_factory=list)


def resolve(
    *, account: Account, document: Mapping[str, Any], project: Project | None
) -> Resolved:
    """Find the rows of a document's scope; external ids become public ids.

    A policy that belongs to a project is about that project's calls alone, so its
    scope names the project whether it was said or not. Raises UnknownReference, and
    InvalidBody for a list's entry that RE2 refuses.
    """
    refuse_bad_patterns(document)
    scope = dict(document["scope"])
    if project is not None:
        scope.setdefault("project", project.public_id)
    found = Resolved({**document, "scope": scope})
    _resolve_project(found, account, project)
    _resolve_bot(found, account, project)
    webhooks = (document.get("actions", {}).get("webhook") or {}).get("to", ())
    unknown = unknown_webhooks(account, webhooks)
    for index, named in enumerate(webhooks):
        if named in unknown:
            _unknown(found, f"/actions/webhook/to/{index}")
    if found.problems:
        raise UnknownReference(errors=found.problems)
    return found


def _resolve_project(found: Resolved, account: Account, bound: Project | None) -> None:
    scope = found.document["scope"]
    if "project" not in scope:
        return
    try:
        named = project_by_reference(account, scope["project"], project=bound)
    except NotFound:
        _unknown(found, "/scope/project")
        return
    found.project = named
    scope["project"] = named.public_id


def _resolve_bot(found: Resolved, account: Account, bound: Project | None) -> None:
    scope = found.document["scope"]
    if "bot" not in scope:
        return
    try:
        named = bot_by_reference(account, scope["bot"], project=bound)
    except NotFound:
        _unknown(found, "/scope/bot")
        return
    found.bot = named
    scope["bot"] = named.public_id


def _unknown(found: Resolved, pointer: str) -> None:
    found.problems.append({"pointer": pointer, "detail": "does not exist"})
