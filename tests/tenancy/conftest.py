"""One database with two accounts for all tests here, emptied at the end."""

import pytest
from django.core.management import call_command


@pytest.fixture(scope="module")
def worlds(django_db_setup, django_db_blocker):
    from tests.tenancy.world import World

    with django_db_blocker.unblock():
        try:
            yield World("ours"), World("theirs")
        finally:
            call_command("flush", verbosity=0, interactive=False)
