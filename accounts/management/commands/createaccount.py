"""`manage.py createaccount SLUG --email OWNER`: make an account, print its id."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email, validate_slug
from django.utils.timezone import now

from accounts.errors import DomainError
from accounts.services import create_account


class Command(BaseCommand):
    """Make an account and its owner. Doing it again prints the same id."""

    help = "Make an account with its owner and print its id, alone."
    # Checks read every page of the installation; `check` and the start run them.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("slug", help="short name: letters, digits, - and _")
        parser.add_argument("--email", required=True, help="the owner's address")
        parser.add_argument("--name", default="", help="what people read")

    def handle(self, *args: Any, **options: Any) -> None:
        """Translate in, call once, print."""
        slug, email = options["slug"], options["email"].strip()
        try:
            validate_slug(slug)
            validate_email(email)
            account = create_account(
                slug=slug, owner_email=email, name=options["name"], now=now()
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(account.public_id)
