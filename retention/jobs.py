"""What has to be pruned for an account: by its policies, and by the house's rules.

Several policies may cover one row. Each lets go of what is older than its own age, so
the shortest wins. Usage events that no policy covers live 400 days; decisions live at
most as long as the account's plan says (CONTRACT E1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from accounts.models import Account
from policies.models import Policy
from policies.rules import Scope
from retention import targets
from retention.cutoff import DECISION_DAYS, EVENT_DAYS_DEFAULT, cutoff
from retention.targets import Condition, Target


@dataclass(frozen=True, slots=True)
class Job:
    """One rule applied to one account: what is due under it before `cutoff`.

    `policy` is None where the rule is the house's own.
    """

    account: Account
    policy: Policy | None
    target_name: str
    max_age_days: int
    cutoff: datetime
    within: Condition

    @property
    def target(self) -> Target:
        """Where the rows are."""
        return targets.TARGETS[self.target_name]

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of its statements."""
        ages = targets.ages(self.target, account_id=self.account.id, cutoff=self.cutoff)
        return {**ages, **self.within.parameters, **more}


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
    target = targets.TARGETS[rule["target"]]
    return Job(
        account=account,
        policy=policy,
        target_name=rule["target"],
        max_age_days=rule["max_age_days"],
        cutoff=cutoff(now=now, max_age_days=rule["max_age_days"]),
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
            job = _narrowed(job, outside)
    return job


def _default(account: Account, target: str, days: int, now: datetime) -> Job:
    return Job(
        account=account,
        policy=None,
        target_name=target,
        max_age_days=days,
        cutoff=cutoff(now=now, max_age_days=days),
        within=Condition("TRUE", {}),
    )


def _narrowed(job: Job, condition: Condition) -> Job:
    within = Condition(
        f"{job.within.sql} AND {condition.sql}",
        {**job.within.parameters, **condition.parameters},
    )
    return replace(job, within=within)
