"""The viewer and the browsable API in a real browser, under the strict policy."""

import shutil

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.browser


@pytest.fixture
def page(live_server, alice, monkeypatch):
    # Playwright runs a loop of its own, which Django takes for an asynchronous caller.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    client = Client()
    client.force_login(alice)
    session = client.cookies["sessionid"].value
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        context = browser.new_context(base_url=live_server.url)
        context.add_cookies(
            [{"name": "sessionid", "value": session, "url": live_server.url}]
        )
        page = context.new_page()
        page.faults = []
        page.on("console", lambda message: page.faults.append(message.text))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((live_server.url, "data:"))
                else page.faults.append(request.url)
            ),
        )
        yield page
        browser.close()
        # Beside Playwright's loop Django opens a connection of its own.
        connection.close()


def test_the_viewer_shows_an_operation_and_breaks_no_rule(page):
    page.goto("/api/docs")
    page.locator("#operations-decide-decide_authorize .opblock-summary").click()

    page.get_by_text("Obey allowed", exact=False).wait_for()
    assert page.faults == []


def test_a_person_registers_and_renames_a_bot_by_browsing(page, acme):
    page.goto("/api/v1/bots")
    page.locator("textarea[name=_content]").fill('{"name": "Made by hand"}')
    page.get_by_role("button", name="POST").click()
    page.get_by_text("HTTP 201 Created").wait_for()
    bot = acme.bots.get()
    assert bot.name == "Made by hand"

    page.goto(f"/api/v1/bots/{bot.public_id}")
    page.locator("textarea[name=_content]").fill('{"name": "Renamed"}')
    page.get_by_role("button", name="PATCH").click()
    page.locator(".response-info", has_text="Renamed").wait_for()
    bot.refresh_from_db()
    assert (bot.name, bot.revision) == ("Renamed", 2)
    assert page.faults == []
