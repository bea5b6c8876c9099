"""What was used in March: short ways to say it and to ask for it."""

import csv
from datetime import UTC, datetime, timedelta

from accounts import ids
from usage import summaries
from usage.models import HourlyRollup

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def use(at, *, account, by, **values):
    given = {"calls": 1, "events": 1, "tokens": 100, "cost": 1000}
    HourlyRollup.objects.create(
        id=ids.new_id(at),
        account=account,
        bot=by,
        hour=at,
        project_id=values.pop("project_id", by.project_id),
        **given | values,
    )
    account.summaries.all().delete()
    summaries.SummaryZone.objects.filter(account=account).delete()
    summaries.rebuild_stale()


def rows(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


def table(answer):
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="')
    return list(csv.DictReader(answer.content.decode().splitlines()))


def march(api, **query):
    named = "&".join(f"{name.rstrip('_')}={value}" for name, value in query.items())
    return api.get(f"/usage/series?from=2026-03-01&to=2026-03-04&{named}")
