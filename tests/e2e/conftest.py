"""A fresh installation, a mail server that keeps what it gets, and a browser."""

import email
import email.policy
import shutil
import tempfile
import threading
from pathlib import Path

import httpx
import pytest
from aiosmtpd.controller import Controller

from tests.e2e.idp import CLIENT, SECRET, Provider
from tests.e2e.installation import Installation
from tests.e2e.look import Look
from tests.e2e.site import Site
from tests.ports import free_port


class Sink:
    """Keeps every mail, and says how many are about a policy."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self._lock = threading.Lock()

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with self._lock:
            self.mails.append(mail)
        return "250 kept"

    def about(self, name: str) -> list[email.message.EmailMessage]:
        return [mail for mail in self.mails if name in str(mail["Subject"])]


@pytest.fixture(scope="module")
def sink():
    kept = Sink()
    where = {"hostname": "127.0.0.1", "port": free_port()}
    controller = Controller(kept, **where, ready_timeout=60)
    controller.start()
    kept.port = controller.port
    yield kept
    controller.stop()


@pytest.fixture(scope="module")
def installation(sink):
    folder = Path(tempfile.mkdtemp(prefix="policyhub-e2e-"))
    folder.chmod(0o755)
    running = Installation(folder / "state", sink.port)
    try:
        running.prepare()
        running.start()
        yield running
    finally:
        running.stop_whatever_runs()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def api(installation):
    """An integrator with a key of the account `demo`."""
    key = installation.command("createkey", "--account", "demo", "--scopes", "*")
    with httpx.Client(
        base_url=f"{installation.url}/api/v1/",
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    ) as client:
        yield client


def browser_path() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


@pytest.fixture(scope="module")
def page(installation):
    """A browser page of the demo's owner that remembers what went wrong in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path(), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.complaints = []
        page.on(
            "console",
            lambda message: (
                page.complaints.append(message.text)
                if message.type == "error"
                else None
            ),
        )
        page.on(
            "response",
            lambda answer: (
                page.complaints.append(f"{answer.status} {answer.url}")
                if answer.status >= 400
                else None
            ),
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        person, password = installation.login()
        page.goto(f"{installation.url}/accounts/login/")
        page.fill("input[name=login]", person)
        page.fill("input[name=password]", password)
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/app/**")
        yield page
        browser.close()


@pytest.fixture(scope="session")
def provider():
    """The log-in of a company, which the site knows."""
    running = Provider()
    yield running
    running.close()


@pytest.fixture(scope="session")
def site(provider):
    """The installation that browsers look at; one for all of their tests."""
    folder = Path(tempfile.mkdtemp(prefix="policyhub-site-"))
    folder.chmod(0o755)
    running = None
    try:
        running = Site(
            folder / "house",
            POLICYHUB_OIDC_URL=provider.url,
            POLICYHUB_OIDC_NAME="Example Ltd",
            POLICYHUB_OIDC_CLIENT_ID=CLIENT,
            POLICYHUB_OIDC_CLIENT_SECRET=SECRET,
        )
        yield running
    finally:
        if running is not None:
            running.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium():
    """A browser. No longer than a module: it keeps asyncio for itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path(), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def new_look(site, chromium):
    """Open a browser of somebody's own, which keeps what is wrong with its pages."""
    opened = []

    def open_one(*, elsewhere=(), **options):
        context = chromium.new_context(**{"locale": "en-US", **options})
        context.set_default_timeout(60_000)
        opened.append(context)
        return Look(context.new_page(), site.url, elsewhere)

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def virtual_key():
    """Put an authenticator into a page's machine, which says yes by itself."""

    def plug_in(page):
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    return plug_in
