"""Filling sample accounts, and deleting those that were removed.

A sample is the demo's own account with other people in it: the same bots, policies and
history, made through the ledger like everything else.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from accounts.models import Account
from accounts.services import delete_sample, left_samples
from policyhub.demo.history import AlreadySeeding, make_history
from policyhub.demo.story import DEMO

DAYS: Final = 30
_SEED = 7


class Removed(Exception):
    """Somebody removed the sample account meanwhile."""


def fill_samples(*, now: datetime, days: int = DAYS) -> int:
    """Delete what was removed, and fill what was opened; return how many accounts."""
    done = 0
    for account in left_samples():
        delete_sample(account)
        done += 1
    waiting = Account.objects.filter(sample_percent__lt=100)
    for account in waiting.exclude(members=None).order_by("id"):
        try:
            _fill(account, now, days)
        except AlreadySeeding:
            break
        except Removed:
            continue
        done += 1
    return done


def _fill(account: Account, now: datetime, days: int) -> None:
    def progress(hours: int, total: int) -> None:
        # The last step comes when the late policies are there, too.
        _note(account, min(99, 100 * hours // total))

    make_history(
        account=account,
        days=days,
        seed=_SEED,
        now=now,
        mail=None,
        progress=progress,
        stories=[replace(DEMO, slug=account.slug, owner="")],
    )
    _note(account, 100)


def _note(account: Account, percent: int) -> None:
    if percent == account.sample_percent:
        return
    mine = Account.objects.filter(id=account.id).exclude(members=None)
    if not mine.update(sample_percent=percent):
        raise Removed
    account.sample_percent = percent
