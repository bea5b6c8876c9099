"""Makes texts with secrets in them, cuts them anywhere, and looks for what leaks.

`python -m tests.gateway.streams 100000` runs the long form and prints what it found;
each case is made from a number, so that a finding can be made again.
"""

import json
import random
import re
import string
import sys
import unicodedata

from gateway.categories import DETECTORS
from gateway.detectors import TermsDetector, pattern
from gateway.redaction import Redactor, Rule

PATTERNS = (
    r"proj-[a-z]{2,8}-\d+",
    r"(?i)top.{0,12}secret",
    r"foo.*bar",
    r"(?:ab|abc)+d?",
    r"\bcode[ -]?name\b",
    r"x+y?z*$",
    r"[[:upper:]]{3}\d{3}",
    r"é+\w*",
    r"(a+)+b",
    r"^start",
)
TERMS = ("Falcon", "internal only", "ß", "naïve", "aa", "aab", "日本", "C++", "a.b")
ZERO_WIDTH = "\u200b\u200d\ufeff\u2060\u00ad"
WIDE = {ord(each): ord(each) + 0xFEE0 for each in string.digits + string.ascii_letters}


def _luhn(digits):
    total = sum(
        int(each) if at % 2 else sum(divmod(int(each) * 2, 10))
        for at, each in enumerate(reversed(digits))
    )
    return digits + str(-total % 10)


def _card(chance):
    digits = _luhn("4" + "".join(chance.choices(string.digits, k=14)))
    between = chance.choice(["", "", " ", "-", "."])
    return between.join(digits[at : at + 4] for at in range(0, 16, 4))


def _iban(chance):
    account = "".join(chance.choices(string.digits, k=18))
    check = 98 - int(account + "131400") % 97
    number = f"DE{check:02}{account}"
    if chance.random() < 0.5:
        return number
    return " ".join(number[at : at + 4] for at in range(0, 22, 4))


def _email(chance):
    name = "".join(chance.choices(string.ascii_lowercase + ".", k=5)).strip(".") or "b"
    return f"{name}@{chance.choice(['example.com', 'mail.example.co.uk', 'x-y.org'])}"


def _key(chance):
    letters = string.ascii_letters + string.digits
    head = chance.choice(["sk-", "ghp_", "AKIA", "phk_live_"])
    if head == "AKIA":
        return head + "".join(chance.choices(string.ascii_uppercase, k=16))
    return head + "".join(chance.choices(letters, k=36))


SECRETS = {
    "card": _card,
    "iban": _iban,
    "email": _email,
    "secrets": _key,
    "ip": lambda chance: ".".join(str(chance.randint(1, 254)) for _ in range(4)),
    "phone": lambda chance: f"+1 415 555 {chance.randint(1000, 9999)}",
    "national_id": lambda chance: f"{chance.randint(100, 899)}-45-6789",
}


def _hidden(text, chance):
    """Return a text written another way that reads the same."""
    trick = chance.randint(0, 5)
    if trick == 0:
        return text.translate(WIDE)
    if trick == 1:
        at = chance.randrange(len(text))
        return text[:at] + chance.choice(ZERO_WIDTH) + text[at:]
    if trick == 2:
        return "".join(
            f"\\u{ord(each):04x}" if chance.random() < 0.5 else each for each in text
        )
    if trick == 3:
        return json.dumps("".join(f"\\u{ord(each):04x}" for each in text))[1:-1]
    return text


def _noise(chance):
    return "".join(
        chance.choices(
            [*string.ascii_letters, *string.digits, *' .,-+@:/\\"{}()\n', "é", "ab"],
            k=chance.randint(0, 30),
        )
    )


def case(number):
    """Return rules, a text, the secrets planted in it, and its chunks."""
    chance = random.Random(number)
    wanted = chance.sample(sorted(SECRETS), chance.randint(1, 4))
    seeks = [each for name in wanted for each in DETECTORS[name]()]
    sources = chance.sample(PATTERNS, chance.randint(0, 3))
    seeks += [pattern(f"denylist:{source}", source) for source in sources]
    terms = chance.sample(TERMS, chance.randint(0, 4))
    if terms:
        seeks.append(TermsDetector("denylist", {each: each for each in terms}))
    spares = [TermsDetector("allowlist", {"keep": "keep@example.com"})]
    planted, parts = [], []
    for _ in range(chance.randint(0, 4)):
        secret = SECRETS[chance.choice(wanted)](chance)
        planted.append(secret)
        parts += [_noise(chance), "; ", _hidden(secret, chance), " ;"]
    for each in chance.sample([*TERMS, "proj-abc-12", "abcabd", "keep@example.com"], 3):
        parts += [_noise(chance), each]
    text = "".join(parts) + _noise(chance)
    return [Rule("pol", seeks, spares)], text, planted, _chunks(text, chance)


def _chunks(text, chance):
    size = chance.choice([1, 2, 3, 7, 20])
    chunks, at = [], 0
    while at < len(text):
        width = chance.randint(1, size)
        chunks.append(text[at : at + width])
        at += width
    return chunks


def whole(rules, text, *, source=False):
    """Return a text redacted in one piece."""
    redactor = Redactor(rules, source=source)
    return redactor.feed(text) + redactor.close()


def streamed(rules, chunks, *, source=False):
    """Return what left, chunk by chunk, and the counts."""
    redactor = Redactor(rules, source=source)
    left = [redactor.feed(each) for each in chunks]
    return [*left, redactor.close()], redactor


def _readings(text):
    """Return a text as somebody could read it, with and without escapes."""
    plain = "".join(
        each
        for each in unicodedata.normalize("NFKC", text)
        if unicodedata.category(each) != "Cf"
    )
    once = _unescaped(plain)
    return plain, once, _unescaped(once)


def _unescaped(text):
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
    return text.replace("\\\\", "\\")


def faults(number):
    """Return what is wrong with one case."""
    rules, text, planted, chunks = case(number)
    once = whole(rules, text)
    pieces, _ = streamed(rules, chunks)
    found = []
    if "".join(pieces) != once:
        found.append(f"case {number}: cut differently, {text!r} reads differently")
    found += [
        f"case {number}: {secret!r} leaked from {text!r}"
        for secret in planted
        for reading in _readings(once)
        if secret in reading
    ]
    return found


def main(count):
    found = [fault for number in range(count) for fault in faults(number)]
    told = [*found[:20], f"{count} texts, {len(found)} leaks or differences"]
    sys.stdout.write("\n".join(told) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_000))
