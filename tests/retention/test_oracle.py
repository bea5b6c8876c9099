"""The short form of the trial against brute force; the long one is in `oracle`."""

from urllib.parse import quote

import pytest
from django.db import connection

from tests.retention.oracle import summary, trial

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_goes_that_must_stay_and_nothing_stays_that_must_go():
    given = connection.settings_dict
    login = quote(given["USER"]) + ":" + quote(given["PASSWORD"] or "")
    host = quote(given["HOST"], safe="")
    url = f"postgresql://{login}@/{given['NAME']}?host={host}"
    url += f"&port={given['PORT']}" if given["PORT"] else ""

    seen = trial(1, url, seconds=90, rounds=12)

    assert not seen.wrong, seen.wrong[:3]
    assert not seen.overdue, seen.overdue[:3]
    assert seen.rounds >= 2, summary(seen)
