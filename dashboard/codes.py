"""Codes as people read them: of targets, and of why a decision came out as it did."""

from typing import Final

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

WORDS: Final = {
    _("usage events"),
    _("message text"),
    _("conversations"),
    _("decisions"),
    _("limit exceeded"),
    _("warned"),
    _("throttled"),
    _("blocked"),
    _("revoked"),
    _("bot disabled"),
    _("denylist"),
    _("redacted"),
    _("model not allowed"),
    _("unpriced model"),
    _("fail open"),
    _("enforcement unavailable"),
    _("system"),
    _("person"),
    _("key"),
    _("schedule"),
    _("usage"),
    _("retention"),
    _("content"),
    # States of a run, and why it left something.
    _("waiting"),
    _("running"),
    _("paused"),
    _("completed"),
    _("stopped"),
    _("failed"),
    _("user data"),
    _("edited"),
    _("kept by a legal hold"),
    _("in use"),
    _("not rolled up"),
    _("nothing is due"),
    _("open reservations"),
    # Who speaks in a conversation.
    _("assistant"),
    _("tool"),
}
# The actions of a policy, as its form names them.
ACTIONS: Final = {
    "warn": _("Warn"),
    "throttle": _("Throttle"),
    "block": _("Block"),
    "revoke": _("Revoke"),
}

# What a change is of, and what it did: `policy.created`.
SUBJECTS: Final = {
    _("account"),
    _("alert"),
    _("block"),
    _("bot"),
    _("conversation"),
    _("counter"),
    _("delivery"),
    _("demo"),
    _("hold"),
    _("invitation"),
    _("key"),
    _("member"),
    _("message"),
    _("person"),
    _("policy"),
    _("price"),
    _("project"),
    _("run"),
    _("sample"),
    _("upstream"),
    _("user"),
    _("webhook"),
}
DEEDS: Final = {
    _("created"),
    _("started"),
    _("updated"),
    _("acknowledged"),
    _("snoozed"),
    _("woken"),
    _("cleared"),
    _("archived"),
    _("blocked"),
    _("restored"),
    _("revoked"),
    _("unblocked"),
    _("deleted"),
    _("reconciled"),
    _("resent"),
    _("tested"),
    _("completed"),
    _("placed"),
    _("released"),
    _("sent"),
    _("rotated"),
    _("added"),
    _("removed"),
    _("blocks lifted"),
    _("labelled"),
    _("reset"),
    _("confirmed"),
    _("erased"),
    _("disabled"),
    _("opened"),
    _("paused"),
    _("redelivered"),
    _("resumed"),
    _("secret rotated"),
}


def words(code: str) -> str:
    """Write a code as words: limit_exceeded as limit exceeded."""
    plain = "kept by a legal hold" if code == "held" else code.replace("_", " ")
    return gettext(plain) if plain in WORDS | SUBJECTS else plain


def act(action: str) -> str:
    """Name an action of a policy."""
    return gettext(ACTIONS[action]) if action in ACTIONS else action


def deed(action: str) -> str:
    """Say what a change was: policy.blocks_lifted as policy: blocks lifted."""
    subject, _dot, did = action.replace("_", " ").partition(".")
    if subject not in SUBJECTS or did not in DEEDS:
        return action
    return f"{gettext(subject)}: {gettext(did)}"
