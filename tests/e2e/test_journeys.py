"""What people come for, done by keyboard alone; and what is left without JavaScript."""

import csv
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.keyboard import Keyboard
from tests.e2e.site import PASSWORD

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]

OWNER = "steps@example.com"
FIRST_CALL_SECONDS = 180
BOT, CAP = "Keyboard bot", "Cap by keyboard"


def test_by_keyboard_alone(site, new_look):
    look = new_look()
    keys = Keyboard(look)
    bearer = make_the_first_call(site, keys)
    write_a_policy(keys)
    unblock_the_bot(site, keys, bearer)
    prune_what_waits(site, keys)
    rotate_a_key(keys)
    export_the_audit(keys)
    assert not look.wrong, "\n".join(look.wrong)
    assert site.complaints == ""


def log_in(keys: Keyboard) -> None:
    keys.page.goto(f"{keys.look.origin}/accounts/login/")
    keys.type("login", OWNER)
    keys.type("password", PASSWORD)
    keys.page.keyboard.press("Enter")
    keys.page.wait_for_url("**/app/**")


def report(site, bearer: str, tokens: int) -> None:
    """Do what the pasted snippet does: ask, then report."""
    head = {"Authorization": f"Bearer {bearer}"}
    with httpx.Client(base_url=f"{site.url}/api/v1", headers=head, timeout=60) as api:
        bot = api.get("/bots").json()["data"][0]["id"]
        asked = api.post("/authorize", json={"bot": bot, "estimate": {"tokens": 1}})
        assert asked.json()["allowed"] is True
        used = api.post("/usage", json={"bot": bot, "tokens": tokens})
        assert used.json()["data"][0]["status"] == "recorded"


def make_the_first_call(site, keys: Keyboard) -> str:
    """From the log-in to the first governed call; return the key."""
    began = time.monotonic()
    log_in(keys)
    if "/start/" not in keys.page.url:
        keys.follow("Get started")
    keys.type("name", BOT)
    keys.press("Register it")
    keys.press("Create the key")
    bearer = keys.page.locator(".secret").first.inner_text().strip()
    assert bearer.startswith("phk_live_")
    assert bearer in keys.page.locator("#code-curl").inner_text()
    report(site, bearer, 12)
    keys.page.get_by_text("The first event is here").wait_for()
    assert time.monotonic() - began <= FIRST_CALL_SECONDS
    return bearer


def write_a_policy(keys: Keyboard) -> None:
    keys.page.goto(f"{keys.look.origin}/app/steps/policies/")
    keys.follow("New policy")
    keys.follow("An empty usage policy")
    keys.type("name", CAP)
    keys.type("limits-0-threshold", "1000")
    keys.tick("block")
    keys.page.locator(".said").wait_for()
    assert "1,000 tokens" in keys.page.locator(".said").first.inner_text()
    keys.press("Write the policy")
    assert keys.page.locator("h1").inner_text() == CAP
    assert "Active" in keys.page.inner_text("main")


def unblock_the_bot(site, keys: Keyboard, bearer: str) -> None:
    report(site, bearer, 5000)
    keys.page.goto(f"{keys.look.origin}/app/steps/bots/")
    assert "Paused" in keys.page.inner_text("main")
    keys.follow(BOT)
    # The cap is everybody's: it is lifted where it was set.
    keys.follow(CAP)
    keys.open("Clear this block")
    keys.type("reason", "Tried by keyboard")
    with keys.page.expect_navigation():
        keys.page.keyboard.press("Enter")
    keys.page.goto(f"{keys.look.origin}/app/steps/bots/")
    assert "Paused" not in keys.page.inner_text("main")


def prune_what_waits(site, keys: Keyboard) -> None:
    keys.page.goto(f"{keys.look.origin}/app/steps/retention/")
    keys.follow("Look and confirm")
    keys.type("confirm", "Keep 30 days")
    keys.press("Delete them")
    assert "Confirmed" in keys.page.inner_text("main")


def rotate_a_key(keys: Keyboard) -> None:
    keys.page.goto(f"{keys.look.origin}/app/steps/keys/")
    keys.follow("Rotate")
    keys.press("Rotate the key")
    assert keys.page.locator(".secret").first.inner_text().startswith("phk_live_")


def export_the_audit(keys: Keyboard) -> None:
    keys.page.goto(f"{keys.look.origin}/app/steps/decisions/")
    keys.go_to(keys.page.locator("#csv"))
    with keys.page.expect_download() as download:
        keys.page.keyboard.press("Enter")
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert {row["decision"] for row in rows} == {"allow"}


def test_without_javascript(site, new_look):
    look = new_look(java_script_enabled=False)
    page = look.page
    page.goto(f"{look.origin}/accounts/login/")
    page.fill("input[name=login]", site.demo_login[0])
    page.fill("input[name=password]", site.demo_login[1])
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/app/**")
    for path in ("usage", "policies", "bots", "alerts", "decisions", "keys"):
        page.goto(f"{look.origin}/app/demo/{path}/")
        assert page.locator("main table tbody tr").count() > 0, path
    page.goto(f"{look.origin}/app/demo/policies/?state=active")
    assert page.locator("main table tbody tr").count() > 0
    page.goto(f"{look.origin}/app/demo/bots/new/")
    page.fill("input[name=name]", "Without scripts")
    page.get_by_role("button", name="Register", exact=True).click()
    assert "Without scripts is registered." in page.inner_text("main")
    page.goto(f"{look.origin}/app/demo/policies/new/usage/")
    page.fill("input[name=name]", "No scripts")
    page.fill("input[name=limits-0-threshold]", "5")
    page.check("input[name=throttle]")
    page.get_by_role("button", name="Write the policy", exact=True).click()
    assert page.locator("h1").inner_text() == "No scripts"
    assert not look.wrong, "\n".join(look.wrong)
