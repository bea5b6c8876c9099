"""The content policies of an account as the filters of one call."""

import copy
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from accounts import ids
from gateway import texts
from gateway.content import ContentPolicy, Screen, ScreenedText, content_policy
from gateway.filters import TextFilter, Verdict
from gateway.protocol import Asked
from gateway.routes import AccountRoutes, BotFacts
from policies.decision_types import Finding
from policies.matching import Caller, effective_user

_REASONS: Final = {"deny": "denylist", "redact": "redacted", "warn": "warned"}
_COMPILED: Final = "content"


class ContentFilters:
    """Reads a call's prompt and each text of its answer by the policies it is under."""

    def __init__(self, policies: Sequence[ContentPolicy], caller: Caller) -> None:
        self._policies = {each.policy_id: each for each in policies}
        self._asked = Screen(policies, caller, "request")
        self._answered = Screen(policies, caller, "response")

    @property
    def reads_answers(self) -> bool:
        """Whether texts of the answer have to pass through `text`."""
        return bool(self._answered)

    @property
    def denies_answer(self) -> bool:
        """Whether an enforced policy refuses what has come of the answer."""
        return self._answered.denied is not None

    def prompt(self, asked: Asked) -> tuple[dict[str, Any], Verdict]:
        """Return the body with what must not go out removed, and what was found."""
        if not self._asked:
            return asked.body, Verdict()
        body = copy.deepcopy(asked.body)
        is_changed = False
        for text in texts.of_prompt(body):
            before = text.value
            after = self._asked.whole(before, source=text.source)
            if after != before:
                text.put(after)
                is_changed = True
        return body if is_changed else asked.body, self._verdict(self._asked)

    def text(self, *, source: bool = False) -> TextFilter:
        """Return a filter for one text of the answer."""
        return _Filter(self._answered.stream(source=source))

    def answer(self) -> Verdict:
        """Return what was found in the answer so far."""
        return self._verdict(self._answered)

    def _verdict(self, screen: Screen) -> Verdict:
        found = screen.findings
        return Verdict(
            findings=[
                self._finding(policy_id, enforced=enforced)
                for policy_id, enforced in sorted(found.policies.items())
            ],
            triggered_categories=sorted(found.categories),
            allowlist_hits=sorted(found.allowlist_hits),
            denylist_hits=sorted(found.denylist_hits),
        )

    def _finding(self, policy_id: str, *, enforced: bool) -> Finding:
        policy = self._policies[policy_id]
        return Finding(
            reason=_REASONS[policy.action],
            enforced=enforced,
            denies=policy.action == "deny",
            policy_id=policy_id,
            rollout_mode=policy.rollout_mode,
            name=policy.name,
        )


class _Filter:
    def __init__(self, text: ScreenedText) -> None:
        self._text = text

    def feed(self, text: str) -> str:
        return self._text.feed(text)

    def flush(self) -> str:
        return self._text.close()


def content_filters(
    routes: AccountRoutes,
    asked: Asked,
    bot: BotFacts | None,
    project_id: UUID | None,
) -> ContentFilters:
    """Return the filters of a call; `project_id` is the key's, a bot's own wins."""
    policies = routes.compiled.get(_COMPILED)
    if policies is None:
        policies = [_compiled(row) for row in routes.content]
        routes.compiled[_COMPILED] = policies
    project = ids.encode_id("prj", project_id) if project_id else None
    caller = Caller(
        project=(bot.project if bot else None) or project,
        bot=bot.public_id if bot else "",
        user=effective_user(asked.user, bot.owner if bot else None),
        model=asked.model,
    )
    return ContentFilters(policies, caller)


def _compiled(row: dict[str, Any]) -> ContentPolicy:
    return content_policy(
        policy_id=ids.encode_id("pol", UUID(row["id"])),
        revision=row["revision"],
        document=row["document"],
    )
