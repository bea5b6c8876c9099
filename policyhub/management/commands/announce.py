"""Print where PolicyHub is, the demo log-in, and a call to try."""

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import selectors, services
from accounts.actors import Actor

DEMO = "demo"
KEY_LIFE = timedelta(days=1)
ACTOR = Actor(kind="system", id="up", label="one-command start")


class Command(BaseCommand):
    help = "Print the address, the demo log-in and a curl that authorizes a call."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        account = selectors.account_by_slug(DEMO)
        bot = selectors.bots(account).order_by("created_at", "id").first()
        if bot is None:
            raise CommandError("the demo account has no bot")
        expires = now + KEY_LIFE
        _, key = services.create_key(
            account=account,
            name="Printed at start, for one day",
            scopes=("decide", "usage:read"),
            expires_at=expires,
            actor=ACTOR,
            now=now,
        )
        self.stdout.write(_text(bot.public_id, key))


def _text(bot: str, key: str) -> str:
    login = (settings.POLICYHUB_STATE_DIR / "demo-login").read_text(encoding="utf-8")
    email, password = login.split()
    site = settings.POLICYHUB_SITE_URL
    body = json.dumps({"bot": bot, "estimate": {"tokens": 100}})
    return f"""
PolicyHub is running at {site}

  log in      {site}/app/   {email}   {password}
  API         {site}/api/docs
  stop        Ctrl-C

Authorize a call:

  curl -s {site}/api/v1/authorize \\
    -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{body}'
"""
