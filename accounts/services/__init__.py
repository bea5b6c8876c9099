"""Writes of accounts, people, projects, bots and keys.

Every edit that a decision may depend on bumps the account's version first, under the
account's exclusive lock, and leaves a change record in the same transaction.
"""

from accounts.services.bots import (
    archive_bot,
    create_bot,
    set_bot_state,
    update_bot,
)
from accounts.services.invitations import (
    accept_invitation,
    invite,
    revoke_invitation,
)
from accounts.services.keys import (
    create_key,
    revoke_key,
    revoke_keys_of_bot,
    rotate_key,
    touch_key,
)
from accounts.services.projects import (
    archive_project,
    create_project,
    update_project,
)
from accounts.services.records import append_change, bump_version
from accounts.services.samples import (
    delete_sample,
    left_samples,
    open_sample,
    remove_sample,
)
from accounts.services.tenants import (
    add_member,
    create_account,
    finish_start,
    open_account,
)
from accounts.services.views import delete_view, save_view

__all__ = [
    "accept_invitation",
    "add_member",
    "append_change",
    "archive_bot",
    "archive_project",
    "bump_version",
    "create_account",
    "create_bot",
    "create_key",
    "create_project",
    "delete_sample",
    "delete_view",
    "finish_start",
    "invite",
    "left_samples",
    "open_account",
    "open_sample",
    "remove_sample",
    "revoke_invitation",
    "revoke_key",
    "revoke_keys_of_bot",
    "rotate_key",
    "save_view",
    "set_bot_state",
    "touch_key",
    "update_bot",
    "update_project",
]
