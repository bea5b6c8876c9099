"""Print where PolicyHub is, the demo log-in, and a call to try."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts import selectors, services
from accounts.actors import SYSTEM
from accounts.errors import NotFound
from accounts.models import Account, Bot

DEMO = "demo"
FIRST_CALL = "first-call"
KEY_LIFE = timedelta(days=1)


class Command(BaseCommand):
    help = "Print the address, the demo log-in and two calls to try with curl."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        account = selectors.account_by_slug(DEMO)
        bot = _bot(account, now)
        expires = now + KEY_LIFE
        _, key = services.create_key(
            account=account,
            name="Printed at start, for one day",
            scopes=("decide", "gateway", "usage:read"),
            expires_at=expires,
            actor=SYSTEM,
            now=now,
        )
        self.stdout.write(_text(bot.public_id, key))


def _bot(account: Account, now: datetime) -> Bot:
    """Return the bot of the printed call: one of its own, which no policy names."""
    try:
        return selectors.bot_by_reference(account, FIRST_CALL)
    except NotFound:
        return services.create_bot(
            account=account,
            name="First call",
            external_id=FIRST_CALL,
            actor=SYSTEM,
            now=now,
        )


def _login() -> str:
    """Return the demo's log-in. A person may have put its file elsewhere."""
    path: Path = settings.POLICYHUB_STATE_DIR / "demo-login"
    try:
        email, password = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return "(demo-login is no longer in the state directory)"
    return f"{email}   {password}"


def _text(bot: str, key: str) -> str:
    site = settings.POLICYHUB_SITE_URL
    body = json.dumps({"bot": bot, "estimate": {"tokens": 100}})
    hello = [{"role": "user", "content": "Hello"}]
    chat = json.dumps({"model": "echo", "messages": hello})
    return f"""
PolicyHub is running at {site}

  log in      {site}/app/   {_login()}
  API         {site}/api/docs
  stop        Ctrl-C

Authorize a call:

  curl -s {site}/api/v1/authorize \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{body}'

Call a model through the gateway (any OpenAI client: base URL {site}/v1):

  curl -s {site}/v1/chat/completions \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{chat}'
"""
