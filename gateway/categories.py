"""The categories a content policy can name, and how each is recognised.

Whether a find is one is for maintained libraries to say: python-stdnum for check
digits, phonenumbers for numbering plans, ipaddress for addresses. Shapes only choose
what to ask about. Where in doubt, a text is taken out.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final

import phonenumbers
from stdnum import iban, luhn, numdb
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.dk import cpr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.us import ssn

from gateway.detectors import UNDECIDED, ShapeDetector, shape
from gateway.redaction import Detector

# The shortest and longest card number in use, digits (ISO/IEC 7812-1).
_CARD: Final = range(13, 20)
# The shortest number worth asking about, and the longest (ITU-T E.164), digits.
_PHONE: Final = range(7, 16)
# Where numbers are looked for that say neither country nor "+", after "0" or "(".
_REGIONS: Final = ("US", "GB", "DE", "FR", "IT", "ES", "NL", "CH", "AT", "AU", "IN")

_EMAIL = (
    r"[\w.%+-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_][\w-]{1,62}",
    r"[\w.%+-]{1,64}(?:@[\w.-]{0,330})?",
)
_IPV4 = (
    r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)",
    r"(?<![\d.])\d{1,3}(?:\.\d{0,3}){0,3}\.?",
)
_IPV6 = (
    (
        r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{1,4}|:)?"
        r"(?:(?:\.\d{1,3}){3})?(?![\w:]|\.\d)"
    ),
    r"(?<![\w:.])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){0,8}(?:\.\d{0,3}){0,4}",
)
# Published forms of tokens, and what is assigned to a word like "password".
_SECRETS: Final = (
    r"phk_live_[0-9A-Za-z]{36}",
    r"sk-[A-Za-z0-9_-]{20,250}",
    r"(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{10,250}",
    r"whsec_[0-9A-Za-z+/=]{24,100}",
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",
    r"gh[pousr]_[0-9A-Za-z]{36,255}",
    r"github_pat_[0-9A-Za-z_]{22,255}",
    r"glpat-[0-9A-Za-z_-]{20,255}",
    r"xox[abeoprs]-[0-9A-Za-z-]{10,255}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"ya29\.[0-9A-Za-z_-]{20,250}",
    r"npm_[0-9A-Za-z]{36}",
    r"pypi-[0-9A-Za-z_-]{50,255}",
    r"hf_[0-9A-Za-z]{30,64}",
    r"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}",
)
# What each of those has, in one glance.
_HEADS: Final = re.compile(
    "phk_|sk-|_live_|_test_|whsec_|A[KSBC][IC]A|gh[pousr]_|github_|glpat-|xox|AIza"
    r"|ya29\.|npm_|pypi-|hf_|SG\."
)
_JWT: Final = (
    r"eyJ[0-9A-Za-z_-]{8,2000}\.eyJ[0-9A-Za-z_-]{8,4000}\.[0-9A-Za-z_-]{8,1000}"
)
_KEY_BLOCK: Final = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
    r"[0-9A-Za-z+/=\s\\:,-]{0,7900}?"
    r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z|(?=[^0-9A-Za-z+/=\s\\:,-]))"
)
_KEY_BLOCK_BEGUN: Final = (
    r"-{1,5}|-----B(?:E(?:G(?:I(?:N(?: [A-Z ]{0,42}-{0,5})?)?)?)?)?"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
    r"(?:(?!-----END [A-Z ]{0,30}PRIVATE KEY-----)[0-9A-Za-z+/=\s\\:,-]){0,8100}"
)
_ASSIGNED: Final = (
    r"(?i:passw(?:or)?d|passphrase|secret|api[_-]?key|access[_-]?token)"
    r"""["']?\s{0,3}[:=]\s{0,3}["']?[^\s"',;]{6,200}"""
)
# What identity numbers look like, and the countries' rules for them. Nine digits with
# one check digit are too common to be taken for one; those stand apart by hyphens.
_NATIONAL: Final[Sequence[tuple[str, tuple[Callable[[str], bool], ...]]]] = (
    (r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)", (lambda _: True,)),
    (r"(?<!\d)\d{3} \d{2} \d{4}(?!\d)", (ssn.is_valid,)),
    (
        r"(?<!\d)\d{11}(?!\d)",
        (pesel.is_valid, cpf.is_valid, fodselsnummer.is_valid, nn.is_valid),
    ),
    (r"(?<!\d)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)", (cpf.is_valid,)),
    (r"(?<!\d)\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}(?!\d)", (nn.is_valid,)),
    (r"(?<!\d)\d{6} \d{5}(?!\d)", (fodselsnummer.is_valid,)),
    (r"(?<!\d)[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}(?!\d)", (aadhaar.is_valid,)),
    (r"(?<!\d)\d{6}-\d{4}(?!\d)", (cpr.is_valid, personnummer.is_valid)),
    (r"(?<!\d)\d{8}-\d{4}(?!\d)", (personnummer.is_valid,)),
    (r"(?<!\d)\d{6}[-+A-Fa-fU-Yu-y]\d{3}[0-9A-Ya-y](?![0-9A-Za-z])", (hetu.is_valid,)),
    (
        r"(?<!\d)[12] ?\d{2} ?\d{2} ?\d[\dABab] ?\d{3} ?\d{3} ?\d{2}(?!\d)",
        (nir.is_valid,),
    ),
    (r"(?<![0-9A-Za-z])\d{8}-?[A-Za-z](?![0-9A-Za-z])", (dni.is_valid,)),
    (r"(?<![0-9A-Za-z])[XYZxyz]-?\d{7}-?[A-Za-z](?![0-9A-Za-z])", (nie.is_valid,)),
    (
        (
            r"(?<![0-9A-Za-z])[A-Za-z]{6}[0-9A-Za-z]{2}[A-Za-z][0-9A-Za-z]{2}"
            r"[A-Za-z][0-9A-Za-z]{3}[A-Za-z](?![0-9A-Za-z])"
        ),
        (codicefiscale.is_valid,),
    ),
    (
        # HMRC's National Insurance Manual, NIM39110: the form alone says it.
        (
            r"(?<![0-9A-Za-z])(?i:(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z]"
            r"[A-CEGHJ-NPR-TW-Z]) ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d](?![0-9A-Za-z])"
        ),
        (lambda _: True,),
    ),
)


def _cards() -> tuple[Detector, ...]:
    first = re.compile(r"(?<!\d)[2-6]")
    return (ShapeDetector("category:card", first, _card),)


def _card(text: str, start: int, final: bool) -> int:
    """Return where the longest card number ends that begins here."""
    ends, undecided = _digit_groups(text, start, " -.", _CARD.stop - 1, final)
    if undecided:
        return UNDECIDED
    for end in reversed(ends):
        digits = _digits(text[start:end])
        if len(digits) in _CARD and len(set(digits)) > 1 and luhn.is_valid(digits):
            return end
    return 0


def _digit_groups(
    text: str, start: int, between: str, most: int, final: bool
) -> tuple[list[int], bool]:
    """Return where groups of digits end, at most so many digits, and if it goes on.

    Up to two characters of `between` may stand between two digits.
    """
    ends: list[int] = []
    count = gap = 0
    at = start
    while at < len(text) and gap <= 2:
        character = text[at]
        if "0" <= character <= "9":
            count += 1
            gap = 0
            if count > most:
                return ends, False
        elif character in between:
            if gap == 0 and count:
                ends.append(at)
            gap += 1
        else:
            break
        at += 1
    else:
        if gap <= 2 and not final:
            return ends, True
    if gap == 0 and count:
        ends.append(at)
    return ends, False


def _digits(text: str) -> str:
    return "".join(each for each in text if "0" <= each <= "9")


def _phones() -> tuple[Detector, ...]:
    first = re.compile(r"(?<![\d+])(?<!\d\.)[+(\d]")
    return (ShapeDetector("category:phone", first, _phone),)


_GROUPED_US: Final = re.compile(r"\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}")


def _phone(text: str, start: int, final: bool) -> int:
    """Return where the longest telephone number ends that begins here."""
    lead = 1 if text[start] == "+" else 0
    ends, undecided = _digit_groups(
        text, start + lead, " -./()", _PHONE.stop - 1, final
    )
    if undecided:
        return UNDECIDED
    for end in reversed(ends):
        if len(_digits(text[start:end])) in _PHONE and _is_phone(text[start:end]):
            return end
    return 0


def _is_phone(text: str) -> bool:
    if text.startswith(("+", "00")):
        written = "+" + text.lstrip("+0") if text.startswith("00") else text
        return _parsed(written, None, phonenumbers.is_possible_number)
    if _GROUPED_US.fullmatch(text):
        return True
    digits = _digits(text)
    american = len(digits) == 10 or (len(digits) == 11 and digits[0] == "1")
    if american and _parsed(text, "US", phonenumbers.is_valid_number):
        return True
    return text[0] in "0(" and any(
        _parsed(text, region, phonenumbers.is_valid_number) for region in _REGIONS
    )


def _parsed(
    text: str, region: str | None, test: Callable[[phonenumbers.PhoneNumber], bool]
) -> bool:
    try:
        return test(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def _ibans() -> tuple[Detector, ...]:
    first = re.compile(r"[A-Za-z](?=[A-Za-z]\d\d|[A-Za-z]?\d?\Z)")
    return (ShapeDetector("category:iban", first, _iban),)


def _iban(text: str, start: int, final: bool) -> int:
    """Return where the account number ends that begins here, spaces allowed."""
    length = _iban_length(text[start : start + 2].upper())
    if len(text) < start + 4:
        return UNDECIDED if length != 0 and not final else 0
    if not length:
        return 0
    taken: list[str] = []
    at = start
    while at < len(text):
        character = text[at]
        if character.isascii() and character.isalnum():
            taken.append(character)
            if len(taken) == length:
                return at + 1 if iban.is_valid("".join(taken)) else 0
        elif character not in " -" or len(taken) < 4 or text[at - 1] in " -":
            return 0
        at += 1
    return 0 if final else UNDECIDED


@cache
def _iban_length(country: str) -> int:
    """Return how long a country's account numbers are; -1 for half a country."""
    if len(country) < 2:
        return -1
    known = numdb.get("iban").info(country)[0][1].get("bban")
    parts = re.findall(r"(\d+)!", known or "")
    return 4 + sum(map(int, parts)) if parts else 0


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _emails() -> tuple[Detector, ...]:
    at_sign = re.compile("@").search
    return (shape("category:email", *_EMAIL, longest=400, hint=_says(at_sign)),)


def _addresses() -> tuple[Detector, ...]:
    forms = (
        (_IPV4, re.compile(r"\d\.\d").search),
        (_IPV6, re.compile(":.{0,4}:").search),
    )
    return tuple(
        shape("category:ip", *form, longest=60, check=_is_address, hint=_says(search))
        for form, search in forms
    )


def _secrets() -> tuple[Detector, ...]:
    label = "category:secrets"
    assigned = re.compile("(?i)pass|secret|key|token").search
    return (
        shape(label, "|".join(_SECRETS), longest=300, hint=_says(_HEADS.search)),
        shape(label, _JWT, longest=7_100, hint=lambda text: "eyJ" in text),
        shape(
            label,
            _KEY_BLOCK,
            _KEY_BLOCK_BEGUN,
            longest=8_192,
            hint=lambda text: "-----BEGIN" in text,
        ),
        shape(label, _ASSIGNED, longest=250, hint=_says(assigned)),
    )


def _says(search: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda text: search(text) is not None


def _national_ids() -> tuple[Detector, ...]:
    forms = [(re.compile(form), rules) for form, rules in _NATIONAL]

    def check(text: str) -> bool:
        return any(
            rule(text)
            for form, rules in forms
            if form.fullmatch(text)
            for rule in rules
        )

    return (
        shape(
            "category:national_id",
            "|".join(form for form, _ in _NATIONAL),
            longest=24,
            check=check,
            hint=_says(re.compile(r"\d\d").search),
        ),
    )


DETECTORS: Final[Mapping[str, Callable[[], tuple[Detector, ...]]]] = MappingProxyType(
    {
        "email": _emails,
        "phone": _phones,
        "card": _cards,
        "iban": _ibans,
        "national_id": _national_ids,
        "ip": _addresses,
        "secrets": _secrets,
    }
)
