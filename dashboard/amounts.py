"""Amounts and spans as the reader's language writes them; `policies.phrases` is plain
English, for programs and for mails.
"""

import re
from functools import lru_cache

from django.utils.formats import number_format
from django.utils.translation import get_language, gettext, ngettext

from policies import phrases
from policies.money import MICROS
from policies.wording import ENGLISH, Language

duration_text = phrases.duration_text
span_until = phrases.span_until


def number_text(value: int) -> str:
    """Return a number with its digits in groups: 1,000 or 1.000."""
    mark = _mark(get_language())
    if mark is None:
        return str(number_format(value, force_grouping=True))
    return f"{value:,}".replace(",", mark)


@lru_cache(maxsize=16)
def _mark(language: str | None) -> str | None:
    """Return what stands between groups of three digits; None: they are others.

    Django looks the language's formats up anew for each number, and a table has many.
    """
    shown = str(number_format(1_234_567, force_grouping=True))
    mark = shown[1 : shown.index("2")]
    return mark if shown == f"{1_234_567:,}".replace(",", mark) else None


@lru_cache(maxsize=16)
def _point(language: str | None) -> str:
    """Return what stands before decimals."""
    return str(number_format("0.5", 1))[1:-1]


def plain_amount(text: str, *, whole: bool) -> str:
    """Return an amount as it was typed the way programs write it: 1250.5.

    Where a comma stands before decimals, `12,50` is twelve and a half, and `1.250` is
    more than a thousand. Elsewhere commas are groups. What can be neither stays.
    """
    typed = re.sub(r"[_\s]", "", text)
    if _point(get_language()) != "," or re.fullmatch(r"-?\d{1,3}(,\d{3})+\.\d*", typed):
        return typed.replace(",", "")
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+(,\d*)?", typed):
        typed = typed.replace(".", "")
    if whole and re.fullmatch(r"-?\d{1,3}(,\d{3})+", typed):
        return typed.replace(",", "")
    return typed.replace(",", ".")


def typed_amount(value: str) -> str:
    """Return decimals as the reader types them: 12.5 or 12,5."""
    return value.replace(".", _point(get_language()))


def unit_text(metric: str, amount: int) -> str:
    """Return what an amount of a metric is called."""
    match metric:
        case "tokens":
            return ngettext("token", "tokens", amount)
        case "input_tokens":
            return ngettext("input token", "input tokens", amount)
        case "output_tokens":
            return ngettext("output token", "output tokens", amount)
        case "messages":
            return ngettext("message", "messages", amount)
        case "conversations":
            return ngettext("conversation", "conversations", amount)
        case "calls":
            return ngettext("call", "calls", amount)
        case "cost":
            return gettext("cost")
    return phrases.unit_text(metric, amount)


def quantity_text(metric: str, amount: int) -> str:
    """Return an amount without its unit: `1,000`, `$12.50`."""
    return dollars(amount) if metric == "cost" else number_text(amount)


def amount_text(metric: str, amount: int) -> str:
    """Return an amount with its unit: `1,000 tokens`, `$12.50`."""
    if metric == "cost":
        return dollars(amount)
    return f"{number_text(amount)} {unit_text(metric, amount)}"


def dollars(micros: int) -> str:
    """Return micro-dollars as `$20`, `$12.50` or `$0.000125`."""
    whole, rest = divmod(micros, MICROS)
    places = f"{rest:06d}".rstrip("0").ljust(2, "0") if rest else ""
    number = number_text(whole)
    if places:
        number += _point(get_language()) + places
    return gettext("$%(amount)s") % {"amount": number}


def language() -> Language:
    """Return how policies are told to the reader."""
    if get_language() == "en":
        return ENGLISH
    return Language(gettext, amount_text, duration_text, number_text)
