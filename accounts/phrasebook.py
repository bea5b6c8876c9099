"""The English sentences of services that people read, for translators.

`%(number…)s` holds an amount, `%(span…)s` a span of time, `%(unit…)s` what is counted,
`%(moment…)s` a moment, `%(id…)s` a public id, `%(target…)s` what retention is about; a
field of `INSIDE` holds another sentence; any other is a name or what somebody typed,
and stays. A phrase that others contain stands behind them.
`tests/accounts/test_saying.py` holds the sources to it.
"""

from typing import Final

from django.utils.translation import gettext_noop as _

INSIDE: Final = frozenset({"rest", "why"})
UNITS: Final = (
    ("token", "tokens"),
    ("input token", "input tokens"),
    ("output token", "output tokens"),
    ("message", "messages"),
    ("conversation", "conversations"),
    ("call", "calls"),
)

TARGETS: Final = frozenset(
    {_("conversations"), _("message text"), _("usage events"), _("decisions")}
)

_TITLES: Final = (
    _("The request cannot be served."),
    _("The body does not have the right form."),
    _("The body is too large."),
    _("You may not do this."),
    _("There is nothing with this id."),
    _("The body refers to something that does not exist."),
    _("The current state does not allow this."),
    _("This external id is taken."),
    _("The block covers more than this bot; clear it on its policy."),
    _("It is archived and cannot be changed."),
    _("It was changed in the meantime; read it again."),
    _("A counter cannot take this much more; reset it, or send less."),
    _("A policy needs the estimate to say how much to hold."),
    _("The decision cannot be made now; try again."),
    _("Too many calls are waiting; try again."),
    _("A legal hold keeps this from being deleted."),
    _("The hold was released before."),
    _("The run does not wait for a person."),
    _("Only a run that is under way can be paused or resumed."),
    _("Only a run of a policy can be paused."),
    _("Another policy has this alias."),
    _("This alert is not open."),
    _("The account has a price for this model already."),
)

_REFUSALS: Final = (
    _("An account keeps at least one owner."),
    _("This is a sample account already."),
    _("Only a sample account can be removed."),
    _("The installation keeps at least one active admin."),
    _("There are too many accounts of this name."),
    _("The key is expired or revoked; make a new one."),
    _("The project still has bots; move or archive them first."),
    _("This block has ended already."),
    _("Only a policy's block can be cleared."),
    _("Only a usage policy can be simulated."),
    _("The endpoint is disabled; enable it first."),
    _("There is no such conversation."),
    _("You have 20 views of this page; delete one first."),
    _("Somebody has acknowledged this alert already."),
    _("This alert is resolved already."),
    _("revision %(number)s restored: %(reason)s"),
    _("revision %(number)s restored"),
    _("There is no such reservation."),
    _("An account may have %(number)s endpoints."),
    _("%(email)s is a member already."),
    _("The invitation is for %(email)s."),
    _("No mail goes there: %(why)s."),
    _("A legal hold keeps this from being deleted: %(holds)s."),
    _(
        "The block comes from the policy “%(policy)s” (%(id)s) and covers more than"
        " this bot; clear it there."
    ),
)

# Each follows “This” or “Entry 2”, and a full stop follows it.
_FAULTS: Final = (
    _("is taken"),
    _("is required"),
    _("is not a time zone"),
    _("is not a language of PolicyHub"),
    _("is not a known field"),
    _("is not an event type"),
    _("is not the reservation's"),
    _("is named twice"),
    _("is required when the host changes"),
    _("is too long or not plain text"),
    _("is not a whole number ≥ 0"),
    _("is before the start"),
    _("does not exist"),
    _("does not apply to retention"),
    _("has a price already"),
    _("has characters we refuse"),
    _("has nothing that can be found in a text"),
    _("lies in the future"),
    _("lies in the past"),
    _("matches nothing at all"),
    _("may have * only as its last character"),
    _("takes a * at its end only"),
    _("repeats the metric and window of another limit"),
    _("must lie in the future"),
    _("must be a moment within the next 90 days"),
    _("must lie in 1970 or later"),
    _("must name at least one scope"),
    _("must name at least one webhook"),
    _("must not be empty"),
    _("must not contain control characters"),
    _("must be an object"),
    _("must be an array"),
    _("must be text"),
    _("must be true or false"),
    _("must be an e-mail address"),
    _("must name an address, or be {} for the owner"),
    _("must be a webhook id, whk_…"),
    _("must be day, month or all"),
    _("must be an IANA time zone such as Europe/Berlin"),
    _("must be an amount of US dollars (decimal text or a number)"),
    _('must be a decimal amount of US dollars such as "12.50"'),
    _("must be a finite amount of US dollars"),
    _("must be an amount of 0 or more, and not huge"),
    _("must have no query"),
    _("must have at least one limit"),
    _("must have at least one step"),
    _("must have at most %(number)s decimal places"),
    _("must have at most %(number)s characters"),
    _("must have at most %(number)s entries"),
    _("must have %(number_least)s to %(number_most)s characters"),
    _("must be a whole number from %(number_least)s to %(number_most)s"),
    _("must be from %(number_least)s to %(number_most)s"),
    _("must be at most %(number)s printable ASCII characters"),
    _("must be at most %(number)s buckets"),
    _("must be at most %(number)s"),
    _("must be one of: %(choices)s"),
    _("must want at least one of: %(choices)s"),
    _("must name at most %(number)s models"),
    _(
        "must map a model's name to the upstream's name for it, each a text of 1 to"
        " %(number)s characters"
    ),
    _("must be the policy's name, or the number of rows that go: %(number)s"),
    _("has over %(number)s characters"),
    _("is over %(number)s bytes"),
    _("is none of %(choices)s"),
    _("is not a pattern of RE2: %(fault)s"),
    _("cannot be changed; this policy's is %(type)s"),
    _("unknown scope: %(scope)s"),
    _("unknown timezone: %(zone)s"),
)

_URLS: Final = (
    _("names no port from 1 to 65535"),
    _("is longer than %(number)s characters"),
    _("must read https://host/path, without user, space or fragment"),
    _("must start with https://"),
    _("must use port 443 or 8443"),
    _("is no host name; write one of another script as xn--…"),
    _("is an address written in an unusual way"),
    _("has a name without an address"),
    _("%(rest)s; an admin can open it with POLICYHUB_PRIVATE_URLS"),
    _("names a host of a private network"),
    _("leads to an address that is not public (%(kind)s)"),
)

_DECISIONS: Final = (
    _("Would be refused: %(rest)s"),
    _("%(rest)s, resets in %(span)s"),
    _("%(rest)s, ends in %(span)s"),
    _("%(rest)s, try again in %(span)s"),
    _("%(rest)s, this call needs %(number)s"),
    _("%(rest)s, %(number)s held"),
    _("This bot has been revoked"),
    _("This bot is disabled"),
    _("This bot is blocked"),
    _("A limit is reached"),
    _("No price is known for this model"),
    _("The content is not allowed"),
    _("This model is not allowed"),
    _("Allowed, with parts of the content removed"),
    _("Allowed, with a warning"),
    _("Allowed"),
    _("Allowed: the limits cannot be checked now, and the policies let it pass"),
    _("Revoked"),
    _("Blocked"),
    _("Blocked by a person"),
    _("Blocked by a person: %(reason)s"),
    _("Blocked: %(why)s"),
    _("Revoked: %(why)s"),
    _("%(policy)s: no price is known for this model"),
    _("%(policy)s: The content is not allowed"),
    _("%(policy)s: This model is not allowed"),
    _("%(policy)s: Allowed, with parts of the content removed"),
)

_ALERTS: Final = (
    _("House rule: %(target)s"),
    _("%(who)s revoked the bot %(name)s"),
    _("Somebody lifted a block: %(why)s"),
    _("%(who)s lifted a block (%(reason)s): %(why)s"),
    _("%(who)s lifted a block: %(why)s"),
    _("The webhook endpoint %(url)s was disabled: %(why)s."),
    _("it answered 410 Gone"),
    _("it has failed for 5 days, last: %(why)s"),
    _(
        "%(rest)s. At the pace of the last weeks the limit is reached about"
        " %(moment)s (%(why)s), and it resets %(moment_reset)s."
    ),
    _("between %(moment_first)s and %(moment_last)s"),
    _("%(moment)s at the earliest, or not before the reset"),
    _(
        "The policy “%(policy)s” would delete %(number)s of %(number_total)s rows at"
        " once, more than a fifth of what the account has. The run %(id)s waits until"
        " somebody confirms it, on the page of retention, through the API or with"
        " `manage.py prune --confirm`."
    ),
    _(
        "The policy “%(policy)s” would delete %(number)s rows, but the clock is over an"
        " hour from where it should be. The run %(id)s waits until somebody confirms"
        " it, on the page of retention, through the API or with `manage.py prune"
        " --confirm`."
    ),
    _(
        "The house's rule for %(target)s would delete %(number)s of %(number_total)s"
        " rows at once, more than a fifth of what the account has. The run %(id)s waits"
        " until somebody confirms it, on the page of retention, through the API or with"
        " `manage.py prune --confirm`."
    ),
    _(
        "The house's rule for %(target)s would delete %(number)s rows, but the clock is"
        " over an hour from where it should be. The run %(id)s waits until somebody"
        " confirms it, on the page of retention, through the API or with `manage.py"
        " prune --confirm`."
    ),
    _(
        "Rows that the policy “%(policy)s” should have deleted have been waiting for"
        " more than 24 hours."
    ),
    _(
        "Rows that the house's rule for %(target)s should have deleted have been"
        " waiting for more than 24 hours."
    ),
)

_MESSAGES: Final = (
    _("answered %(number)s"),
    _("no answer within %(number)s s"),
    _("the connection was cut before the answer"),
    _("the URL may not be called: it %(why)s"),
    _("the endpoint was deleted"),
    _("the endpoint is disabled"),
    _("there is no such endpoint any more"),
    _("the hour's mails are spent; the digest carries it"),
    _("Kept in the mail folder of the state directory; sent to nobody."),
    _("nobody could be told: %(why)s"),
    _("the account has no active owner"),
    _("mail to every owner of the account bounced"),
    _("%(why)s, so the owners got it"),
    _("mail to %(address)s bounced or was complained about"),
    _("%(address)s has not confirmed yet"),
)

# How a lift that nobody gave a reason for says why.
_LIFTS: Final = (
    _("policy archived"),
    _("policy switched off"),
    _("rollout changed"),
    _("no longer blocks"),
    _("threshold raised"),
    _("counts anew"),
    _("replaced"),
    _("reset"),
)

# What a policy counted: behind what others say around it.
_READINGS: Final = (
    _("%(policy)s: %(number_used)s of %(number_limit)s %(unit)s used"),
    _("%(policy)s: %(number_used)s of %(number_limit)s used"),
    _("%(number_used)s of %(number_limit)s %(unit)s used"),
    _("%(number_used)s of %(number_limit)s used"),
)

PHRASES: Final = (
    *_TITLES,
    *_REFUSALS,
    *_FAULTS,
    *_URLS,
    *_DECISIONS,
    *_ALERTS,
    *_MESSAGES,
    *_LIFTS,
    *_READINGS,
)
