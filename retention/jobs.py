"""What has to be pruned for an account: by its policies, and by the house's rules.

Several policies may cover one row. Each lets go of what is older than its own age, so
the shortest wins. Usage events that no policy covers live 400 days; decisions live at
most as long as the account's plan says (CONTRACT E1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from accounts.models import Account, Bot, Project
from policies.models import Policy
from policies.rules import Scope
from retention import targets
from retention.cutoff import DECISION_DAYS, EVENT_DAYS_DEFAULT, cutoff
from retention.targets import Condition, Target


@dataclass(frozen=True, slots=True)
class Job:
    """One rule applied to one account: what is due under it before `cutoff`.

    `policy` is None where the rule is the house's own. `now` says which legal holds
    have not ended.
    """

    account: Account
    policy: Policy | None
    target_name: str
    max_age_days: int
    now: datetime
    cutoff: datetime
    within: Condition

    @property
    def name(self) -> str:
        """What people call the rule."""
        return "the house's rule" if self.policy is None else self.policy.name

    @property
    def revision(self) -> int:
        """The revision of its policy; 0 where the rule is the house's own."""
        return 0 if self.policy is None else self.policy.revision

    @property
    def target(self) -> Target:
        """Where the rows are."""
        return targets.TARGETS[self.target_name]

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of its statements."""
        ages = targets.ages(self.target, account_id=self.account.id, cutoff=self.cutoff)
        held_at = {"held_at": self.now}
        return {**ages, **held_at, **self.within.parameters, **more}

    def as_of(self, cutoff: datetime) -> Self:
        """Return the same rule with another cut-off, such as that of an open run."""
        return replace(self, cutoff=cutoff)

    def narrowed(self, condition: Condition) -> Self:
        """Return the job of those rows alone that meet a condition as well."""
        within = Condition(
            f"{self.within.sql} AND {condition.sql}",
            {**self.within.parameters, **condition.parameters},
        )
        return replace(self, within=within)

    def seen_by(self, *, project: Project | None, bot: Bot | None) -> Self:
        """Return the job of the rows that a key of a project or a bot may know of."""
        scope = Scope(
            project=None if project is None else project.public_id,
            bot=None if bot is None else bot.public_id,
        )
        return self.narrowed(targets.covered(self.target, scope, "seen"))


def job_of(policy: Policy, now: datetime, name: str = "s") -> Job:
    """Return the job of a retention policy, whatever its rollout mode.

    `name` starts the names of its parameters.
    """
    return job_of_document(policy.account, policy.document, now, policy, name)


def job_of_document(
    account: Account,
    document: Mapping[str, Any],
    now: datetime,
    policy: Policy | None = None,
    name: str = "s",
) -> Job:
    """Return the job of a canonical document, such as a draft's."""
    rule = document["retention"]
    target, days = targets.TARGETS[rule["target"]], rule["max_age_days"]
    if rule["target"] == targets.DECISIONS:
        days = min(days, DECISION_DAYS[account.plan])
    return Job(
        account=account,
        policy=policy,
        target_name=rule["target"],
        max_age_days=days,
        now=now,
        cutoff=cutoff(now=now, max_age_days=days),
        within=targets.covered(target, Scope(**document["scope"]), name),
    )


def default_jobs(
    account: Account, policies: Iterable[Policy], now: datetime
) -> list[Job]:
    """Return the house's own jobs; `policies` are the account's enforced ones."""
    return [
        _default_of_events(account, policies, now),
        _default(account, targets.DECISIONS, DECISION_DAYS[account.plan], now),
    ]


def _default_of_events(
    account: Account, policies: Iterable[Policy], now: datetime
) -> Job:
    job = _default(account, targets.USAGE_EVENTS, EVENT_DAYS_DEFAULT, now)
    for number, policy in enumerate(policies):
        if policy.document["retention"]["target"] == targets.USAGE_EVENTS:
            theirs = job_of(policy, now, f"p{number}").within
            # A row without the value that a scope names gives null: not covered.
            outside = Condition(f"({theirs.sql}) IS NOT TRUE", theirs.parameters)
            job = job.narrowed(outside)
    return job


def _default(account: Account, target: str, days: int, now: datetime) -> Job:
    return Job(
        account=account,
        policy=None,
        target_name=target,
        max_age_days=days,
        now=now,
        cutoff=cutoff(now=now, max_age_days=days),
        within=Condition("TRUE", {}),
    )
