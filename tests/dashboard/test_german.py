"""German: every text has one, and people get it who ask for it."""

import gettext
import re

import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation

from dashboard import amounts
from policies.rules import sentence
from policyhub import login_words
from tests.dashboard.catalogs import read_po, wanted
from tests.dashboard.conftest import PASSWORD, logged_in, usage_document

FOLDER = settings.BASE_DIR / "locale/de/LC_MESSAGES"
FIELD = re.compile(r"%\(\w+\)[sd]|\{\w+\}|<[^>]+>")


@pytest.fixture(scope="module")
def german():
    return read_po(FOLDER / "django.po")


def test_every_text_has_a_german_one(german):
    missing = sorted(text for text in wanted() if not all(german.get(text, [""])))
    assert not missing, f"manage.py makemessages -l de, then translate: {missing}"


def test_nothing_is_translated_that_nobody_says(german):
    assert sorted(german.keys() - wanted() - {""}) == []


def test_each_fills_in_the_same(german):
    for text, said in german.items():
        for each in said:
            assert sorted(FIELD.findall(each)) == sorted(FIELD.findall(text)), text


def test_what_is_shipped_is_what_was_written(german):
    """The .mo is compiled by hand (manage.py compilemessages) and comes along."""
    with (FOLDER / "django.mo").open("rb") as file:
        catalog = gettext.GNUTranslations(file)._catalog
    shipped: dict[str, set[str]] = {}
    for key, text in catalog.items():
        # A context stands before its text, and the plural's form behind it.
        named, form = key if isinstance(key, tuple) else (key, 0)
        shipped.setdefault(named.rpartition("\x04")[2], set()).add(text)
        assert form in (0, 1)
    for text in german.keys() & shipped.keys():
        assert german[text] <= shipped[text], text
    assert {text for texts in shipped.values() for text in texts} == {
        text for texts in german.values() for text in texts
    }


def test_a_browser_that_reads_german(browser):
    page = browser.get("/app/acme/", headers={"Accept-Language": "de-AT, en;q=0.5"})
    text = page.content.decode()
    assert '<html lang="de"' in text
    assert "Übersicht" in text
    french = browser.get("/app/acme/", headers={"Accept-Language": "fr"})
    assert b'<html lang="en"' in french.content


def test_the_choice_comes_along(alice):
    browser = logged_in(alice)
    chosen = browser.post("/language/", {"language": "de", "next": "/app/acme/"})
    assert chosen.url == "/app/acme/"
    assert b'lang="de"' in browser.get("/app/acme/").content
    elsewhere = Client()
    assert b'<html lang="en"' in elsewhere.get("/accounts/login/").content
    elsewhere.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert b'<html lang="de"' in elsewhere.get("/app/acme/").content


def test_an_unknown_language_changes_nothing(browser):
    sent = {"language": "tlh", "next": "https://evil.example.com/"}
    assert browser.post("/language/", sent).url == "/"
    assert b'<html lang="en"' in browser.get("/app/acme/").content
    assert browser.get("/language/").status_code == 405


def test_programs_are_answered_in_english(client):
    answer = client.get("/api/v1/bots", headers={"Accept-Language": "de"})
    assert answer.status_code == 401
    assert answer.headers["Content-Language"] == "en"
    assert not re.search("[äöüß]", answer.content.decode())


def test_amounts_and_rules_are_said_in_german():
    day = {"kind": "calendar", "unit": "day", "timezone": "UTC"}
    limit = {"metric": "tokens", "threshold": 50_000, "window": day}
    document = usage_document(limits=[limit], actions={"block": {}, "email": {}})
    with translation.override("de"):
        assert amounts.amount_text("tokens", 1_234_567) == "1.234.567 Token"
        assert amounts.amount_text("cost", 1_234_500_000) == "1.234,50 $"
        assert sentence(document, {}, amounts.language()) == (
            "Sperre alle Bots für den Rest des Tages und benachrichtige den Inhaber"
            " per E-Mail nach 50.000 Token an einem Tag."
        )
    assert amounts.amount_text("cost", 125) == "$0.000125"


def test_the_log_in_speaks_to_people_as_we_do(browser):
    with translation.override("de"):
        said = {text: translation.gettext(text) for text in login_words.TEXTS}
    familiar = re.compile(r"\b(du|dein\w*|dich|dir)\b", re.IGNORECASE)
    assert [text for text in said.values() if familiar.search(text)] == []
    wrong = {"oldpassword": "x", "password1": "y", "password2": "z"}
    page = browser.post(
        "/accounts/password/change/", wrong, headers={"Accept-Language": "de"}
    )
    assert "geben Sie Ihr aktuelles Passwort ein" in page.content.decode()
