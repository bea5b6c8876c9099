"""Policies and the changes to them, in plain words: English, or as a language says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.money import cost_to_micros
from policies.phrases import amount_text, duration_text


def _(text: str) -> str:
    """Mark a text for translators; it is said in whatever language is asked for."""
    return text


@dataclass(frozen=True, slots=True)
class Language:
    """How texts, amounts and spans are said: `say` translates what `_` has marked."""

    say: Callable[[str], str] = _
    amount: Callable[[str, int], str] = amount_text
    span: Callable[[int], str] = duration_text
    number: Callable[[int], str] = "{:,}".format


ENGLISH: Final = Language()
_NO_NAMES: Mapping[str, str] = {}
_RETENTION = {
    "conversations": _("conversations"),
    "message_text": _("the text of messages"),
    "usage_events": _("usage events"),
    "decisions": _("decision records"),
}
_CATEGORY = {
    "email": _("e-mail addresses"),
    "phone": _("phone numbers"),
    "card": _("card numbers"),
    "iban": _("IBANs"),
    "national_id": _("national ids"),
    "ip": _("IP addresses"),
    "secrets": _("secrets"),
}
_MODE = {"off": _("Switched off: "), "shadow": _("In shadow: "), "enforce": ""}
_VERB = {"deny": _("Refuse"), "redact": _("Redact"), "warn": _("Warn about")}
_WHERE = {
    "request": _("requests"),
    "response": _("responses"),
    "both": _("requests and responses"),
}
_REST = {
    "hour": _("for the rest of the hour"),
    "day": _("for the rest of the day"),
    "week": _("for the rest of the week"),
    "month": _("for the rest of the month"),
    "quarter": _("for the rest of the quarter"),
    "year": _("for the rest of the year"),
}
_WITHIN = {
    "hour": _("in an hour"),
    "day": _("in a day"),
    "week": _("in a week"),
    "month": _("in a month"),
    "quarter": _("in a quarter"),
    "year": _("in a year"),
}
_FIELD = {
    "bot": _("bot"),
    "user": _("user"),
    "model": _("model"),
    "project": _("project"),
}


def sentence(
    document: Mapping[str, Any],
    names: Mapping[str, str] = _NO_NAMES,
    language: Language = ENGLISH,
) -> str:
    """Return a canonical document as one sentence.

    `names` maps public ids to what people call them.
    """
    telling = _Telling(document, names, language)
    told = {
        "usage": telling.usage,
        "retention": telling.retention,
        "content": telling.content,
    }[document["type"]]()
    mode = _MODE[document["rollout_mode"]]
    if mode:
        told = told[0].lower() + told[1:]
        mode = language.say(mode)
    return f"{mode}{told}."


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields in which two canonical documents differ.

    Each is `{"field", "before", "after"}` with a dotted path; a side that lacks the
    field has None. Lists of objects are compared place by place, others as a whole.
    """
    changes: list[dict[str, Any]] = []
    _compare("", old, new, changes)
    return changes


def _compare(path: str, old: Any, new: Any, changes: list[dict[str, Any]]) -> None:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = old, new
    elif _objects(old) and _objects(new):
        before = {str(index): each for index, each in enumerate(old)}
        after = {str(index): each for index, each in enumerate(new)}
    else:
        # 1 and True are equal to Python, but not in JSON.
        if type(old) is not type(new) or old != new:
            changes.append({"field": path, "before": old, "after": new})
        return
    for name in [*before, *(name for name in after if name not in before)]:
        inner = f"{path}.{name}" if path else name
        if name in before and name in after:
            _compare(inner, before[name], after[name], changes)
        else:
            sides = {"before": before.get(name), "after": after.get(name)}
            changes.append({"field": inner, **sides})


def _objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, Mapping) for v in value)


@dataclass(frozen=True, slots=True)
class _Telling:
    """One document, told in a language."""

    document: Mapping[str, Any]
    names: Mapping[str, str]
    language: Language

    def usage(self) -> str:
        say, document = self.language.say, self.document
        whom = self._whom(everyone=say(_("every bot")))
        limits = self._either([self._limit(limit) for limit in document["limits"]])
        told = say(_("{act} after {limits}")).format(act=self._act(whom), limits=limits)
        if document["group_by"]:
            each = self._all([say(_FIELD[field]) for field in document["group_by"]])
            told += say(_(", counted for each {each}")).format(each=each)
        if document["rollout_percent"] < 100:
            percent = document["rollout_percent"]
            told += say(_(", for {percent} % of users")).format(percent=percent)
        return told

    def retention(self) -> str:
        say, rule = self.language.say, self.document["retention"]
        days = rule["max_age_days"]
        form = _("Delete {what} after {days} day")
        if days != 1:
            form = _("Delete {what} after {days} days")
        what = self._of(say(_RETENTION[rule["target"]]))
        return say(form).format(what=what, days=self.language.number(days))

    def content(self) -> str:
        say, content = self.language.say, self.document["content"]
        found = [say(_CATEGORY[category]) for category in content["categories"]]
        one, many = _("{count} deny-listed phrase"), _("{count} deny-listed phrases")
        if content["denylist"]:
            found.append(self._count(len(content["denylist"]), one, many))
        told = say(_("{verb} {found} in {where}")).format(
            verb=say(_VERB[content["action"]]),
            found=self._all(found) or say(_("nothing")),
            where=self._of(say(_WHERE[content["direction"]])),
        )
        one, many = _("{count} allowed phrase"), _("{count} allowed phrases")
        if content["allowlist"]:
            but = self._count(len(content["allowlist"]), one, many)
            told += say(_(", except {phrases}")).format(phrases=but)
        return told

    def _act(self, whom: str) -> str:
        say, actions = self.language.say, self.document["actions"]
        parts: list[str] = []
        if "revoke" in actions:
            parts.append(say(_("revoke {whom}")).format(whom=whom))
        if "block" in actions:
            span = self._span_of_block(actions["block"]["duration_seconds"])
            it = say(_("it")) if parts else whom
            parts.append(say(_("block {whom} {span}")).format(whom=it, span=span))
        if "throttle" in actions:
            it = say(_("it")) if parts else whom
            parts.append(say(_("throttle {whom}")).format(whom=it))
        about = "" if parts else say(_(" about {whom}")).format(whom=whom)
        told = {
            "warn": lambda: say(_("warn")),
            "email": lambda: self._mail(actions["email"]),
            "webhook": lambda: self._webhooks(actions["webhook"]),
        }
        parts += [tell() for name, tell in told.items() if name in actions]
        joined = self._all(parts) + about
        return joined[0].upper() + joined[1:]

    def _span_of_block(self, seconds: int | None) -> str:
        say, limits = self.language.say, self.document["limits"]
        if seconds is not None:
            return say(_("for {span}")).format(span=self.language.span(seconds))
        kinds = {limit["window"]["kind"] for limit in limits}
        if kinds == {"lifetime"}:
            return say(_("until someone clears it"))
        units = {limit["window"].get("unit") for limit in limits}
        if kinds == {"calendar"} and len(units) == 1:
            return say(_REST[units.pop()])
        return say(_("until the window ends"))

    def _mail(self, options: Mapping[str, Any]) -> str:
        say, to = self.language.say, options.get("to")
        if not to:
            whom = say(_("the owner"))
        elif len(to) == 1:
            whom = str(to[0])
        else:
            whom = say(_("{count} people")).format(count=len(to))
        return say(_("e-mail {whom}")).format(whom=whom)

    def _webhooks(self, options: Mapping[str, Any]) -> str:
        count = len(options.get("to", ()))
        if count == 1:
            return self.language.say(_("call a webhook"))
        return self.language.say(_("call {count} webhooks")).format(count=count)

    def _limit(self, limit: Mapping[str, Any]) -> str:
        metric, threshold = limit["metric"], limit["threshold"]
        amount = cost_to_micros(threshold) if metric == "cost" else threshold
        window = self._window(limit["window"])
        return f"{self.language.amount(metric, amount)} {window}"

    def _window(self, window: Mapping[str, Any]) -> str:
        say, span = self.language.say, self.language.span
        if window["kind"] == "lifetime":
            return say(_("in all"))
        if window["kind"] == "fixed":
            form = say(_("within {span} of the first call"))
            return form.format(span=span(window["seconds"]))
        if window["kind"] == "rolling":
            return say(_("in any {span}")).format(span=span(window["seconds"]))
        told, zone = say(_WITHIN[window["unit"]]), window["timezone"]
        return told if zone == "UTC" else f"{told} ({zone})"

    def _of(self, what: str) -> str:
        whom = self._whom(everyone="")
        if not whom:
            return what
        return self.language.say(_("{what} of {whom}")).format(what=what, whom=whom)

    def _whom(self, *, everyone: str) -> str:
        scope = self.document["scope"]
        names = {field: self.names.get(id_, id_) for field, id_ in scope.items()}
        narrower = [
            f"{self.language.say(_FIELD[field])} {names[field]}"
            for field in ("user", "model", "project")
            if field in scope
        ]
        if "bot" not in scope:
            return ", ".join(narrower) or everyone
        bot = names["bot"]
        return f"{bot} ({', '.join(narrower)})" if narrower else bot

    def _count(self, count: int, one: str, many: str) -> str:
        return self.language.say(one if count == 1 else many).format(count=count)

    def _all(self, parts: Sequence[str]) -> str:
        return self._listed(parts, self.language.say(_("{first} and {last}")))

    def _either(self, parts: Sequence[str]) -> str:
        return self._listed(parts, self.language.say(_("{first} or {last}")))

    def _listed(self, parts: Sequence[str], form: str) -> str:
        if len(parts) < 2:
            return "".join(parts)
        return form.format(first=", ".join(parts[:-1]), last=parts[-1])
