"""Writes of policies, their revisions and their blocks.

Every edit bumps the account's version first, under the account's exclusive lock, and
leaves a revision and a change record in the same transaction. What an edit does to
counters (crossings, CONTRACT B5) is known one row higher, in `usage.edits`.
"""

from policies.services.blocking import (
    block_bot,
    lift_blocks,
    restore_bot,
    revoke_bot,
    unblock_bot,
)
from policies.services.labelling import label_policy
from policies.services.telling import tell_of_blocks
from policies.services.writing import (
    archive_policy,
    create_policy,
    replace_policy,
    restore_revision,
)

__all__ = [
    "archive_policy",
    "block_bot",
    "create_policy",
    "label_policy",
    "lift_blocks",
    "replace_policy",
    "restore_bot",
    "restore_revision",
    "revoke_bot",
    "tell_of_blocks",
    "unblock_bot",
]
