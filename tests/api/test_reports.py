"""Usage over time: buckets, groups, filters, who sees what."""

from datetime import UTC, datetime

import pytest

from accounts.actors import SYSTEM
from accounts.models import Member
from accounts.services import create_bot, create_key, create_project
from tests.api.client import assert_problem, key_api, person_api
from tests.api.used import DAY, HOUR, MARCH, march, rows
from usage import summaries

pytestmark = pytest.mark.django_db


def test_every_bucket_is_there_also_without_usage(api, used):
    used(MARCH, cost=2_500_000)
    used(MARCH + 2 * DAY, tokens=7)
    answer = march(api).json()

    assert [row["tokens"] for row in answer["data"]] == [100, 0, 7]
    assert [row["cost"] for row in answer["data"]] == ["2.5", "0", "0.001"]
    assert answer["data"][0]["start"] == "2026-03-01T00:00:00Z"
    assert answer["data"][2]["end"] == answer["to"] == "2026-03-04T00:00:00Z"
    assert (answer["totals"]["tokens"], answer["totals"]["cost"]) == (107, "2.501")
    assert answer["totals"]["unpriced"] == 0
    assert (answer["bucket"], answer["timezone"]) == ("day", "UTC")
    assert answer["previous"] is None


def test_days_are_the_accounts_also_when_the_clock_moves(api, acme, used):
    acme.timezone = "Europe/Berlin"
    acme.save()
    # The 29th has 23 hours; its last one begins at 21:00 UTC.
    used(datetime(2026, 3, 28, 22, tzinfo=UTC), tokens=1)
    used(datetime(2026, 3, 28, 23, tzinfo=UTC), tokens=10)
    used(datetime(2026, 3, 29, 21, tzinfo=UTC), tokens=100)
    used(datetime(2026, 3, 29, 22, tzinfo=UTC), tokens=1000)
    found = rows(api.get("/usage/series?from=2026-03-28&to=2026-03-31"))

    assert [row["tokens"] for row in found] == [1, 110, 1000]
    assert found[1]["start"] == "2026-03-28T23:00:00Z"
    assert found[1]["end"] == "2026-03-29T22:00:00Z"
    hours = rows(api.get("/usage/series?bucket=hour&from=2026-03-29&to=2026-03-30"))
    assert len(hours) == 23


def test_hours_of_a_zone_with_half_hours(api, acme, used):
    acme.timezone = "Asia/Kolkata"
    acme.save()
    used(datetime(2026, 3, 1, 18, tzinfo=UTC), tokens=1)
    used(datetime(2026, 3, 1, 18, 30, tzinfo=UTC), tokens=10)
    used(datetime(2026, 3, 1, 19, tzinfo=UTC), tokens=100)
    found = rows(
        api.get(
            "/usage/series?bucket=hour&from=2026-03-01T17:30:00Z&to=2026-03-02T01:00:00%2B05:30"
        )
    )

    assert [row["tokens"] for row in found] == [1, 110]
    assert found[1]["start"] == "2026-03-01T18:30:00Z"
    days = rows(api.get("/usage/series?from=2026-03-01&to=2026-03-03"))
    assert [row["tokens"] for row in days] == [1, 110]


@pytest.mark.parametrize(
    ("bucket", "first", "length"),
    [
        ("hour", "2026-03-01T00:00:00Z", HOUR),
        ("week", "2026-02-25T00:00:00Z", 7 * DAY),
        ("month", "2026-03-01T00:00:00Z", 31 * DAY),
        ("quarter", "2026-01-01T00:00:00Z", 90 * DAY),
        ("year", "2026-01-01T00:00:00Z", 365 * DAY),
    ],
)
def test_the_first_bucket_holds_the_first_moment(
    api, acme, used, bucket, first, length
):
    acme.week_start = 3
    acme.save()
    used(MARCH)
    answer = api.get(
        f"/usage/series?bucket={bucket}&from=2026-03-01&to=2026-03-01T00:10:00Z"
    )

    (row,) = rows(answer)
    assert (row["start"], row["tokens"]) == (first, 100)
    ended = datetime.fromisoformat(row["end"]) - datetime.fromisoformat(row["start"])
    assert ended == length


def test_groups_come_by_size_and_the_rest_is_one(api, bot, other, used):
    for name, cost in (("small", 1), ("large", 30), ("medium", 20)):
        used(user=name, cost=cost)
    used(cost=5)
    used(MARCH + DAY, user="small", cost=1)
    found = rows(march(api, group_by="user", limit=2, metrics="cost,calls"))

    assert [(row["start"][:10], row["group"], row["cost"]) for row in found] == [
        ("2026-03-01", "large", "0.00003"),
        ("2026-03-01", "medium", "0.00002"),
        ("2026-03-01", None, "0.000006"),
        ("2026-03-02", None, "0.000001"),
    ]
    assert [row["other"] for row in found] == [False, False, True, True]
    assert set(found[0]) == {
        *("start", "end", "group", "name", "other", "cost", "calls", "unpriced")
    }
    nobody = rows(march(api, group_by="user", metrics="cost"))[2]
    assert (nobody["group"], nobody["name"], nobody["other"]) == (None, "(none)", False)


def test_each_group_has_its_name(api, acme, bot, project, used):
    key, _ = create_key(account=acme, name="CI", scopes=["*"], actor=SYSTEM, now=MARCH)
    used(model="m", user="u", key_id=key.id, project_id=project.id)
    expected = {
        "bot": (bot.public_id, "Support"),
        "project": (project.public_id, "Europe"),
        "key": (key.public_id, "CI"),
        "user": ("u", "u"),
        "model": ("m", "m"),
    }
    for group_by, label in expected.items():
        (row,) = rows(march(api, group_by=group_by))
        assert (row["group"], row["name"]) == label
        query = f"period=2026-03&group_by={group_by}"
        (row,) = rows(api.get(f"/usage/attribution?{query}"))
        assert (row["group"], row["name"], row["share"]) == (*label, 1.0)


def test_filters_go_together(api, bot, other, project, used):
    used(user="u", model="m", tokens=1)
    used(user="v", model="m", tokens=10)
    used(user="u", model="n", tokens=100, by=other)
    used(tokens=1000, project_id=project.id)
    totals = [
        march(api, **query).json()["totals"]["tokens"]
        for query in (
            {},
            {"user": "u"},
            {"user": "u", "bot": bot.public_id},
            {"user": "u", "bot": bot.public_id, "group_by": "user"},
            {"model": "m"},
            {"model": "m", "user": "v"},
            {"user": ""},
            {"project": "europe"},
            {"project": "europe", "user": "u"},
            {"bot": "nothing"},
            {"key": "key_nothing"},
        )
    ]
    assert totals == [1111, 101, 1, 1, 11, 10, 1000, 1000, 0, 0, 0]


def test_the_rollups_say_the_same(api, acme, other, used):
    """While the summaries are in another zone, reports are read without them."""
    for n in range(12):
        used(
            MARCH + n * 5 * HOUR,
            user=f"u{n % 3}",
            model="m" if n % 2 else "",
            tokens=2**n,
        )
    paths = [
        f"/usage/{path}"
        for path in (
            "series?from=2026-02-01&to=2026-03-20&bucket=week&previous=true",
            "series?from=2026-03-01&to=2026-03-04&group_by=user&limit=2",
            "series?from=2026-03-01&to=2026-03-02&bucket=hour&group_by=model",
            "attribution?from=2026-03-01T05:00:00Z&to=2026-03-03T05:00:00Z&group_by=bot",
            "attribution?period=2026&group_by=project&user=u1",
        )
    ]
    fast = [api.get(path).json() for path in paths]
    assert summaries.current(acme)
    summaries.SummaryZone.objects.update(zone="elsewhere")
    assert not summaries.current(acme)

    assert [api.get(path).json() for path in paths] == fast


def test_the_previous_period_has_as_many_buckets(api, used):
    used(MARCH - DAY, tokens=9)
    used(MARCH, tokens=10)
    answer = api.get(
        "/usage/series?bucket=month&from=2026-03-01&to=2026-04-01&previous=true"
    ).json()

    assert answer["data"][0]["tokens"] == 10
    (before,) = answer["previous"]["data"]
    assert (before["tokens"], before["start"]) == (9, "2026-02-01T00:00:00Z")
    assert answer["previous"]["totals"]["tokens"] == 9


def test_without_a_range_the_bucket_under_way_is_the_last(api):
    for bucket, count in (("hour", 24), ("day", 30), ("week", 12), ("year", 5)):
        found = rows(api.get(f"/usage/series?bucket={bucket}"))
        assert len(found) == count
        now = datetime.now(UTC)
        assert datetime.fromisoformat(found[-1]["start"]) <= now
        assert datetime.fromisoformat(found[-1]["end"]) >= now


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("bucket=minute", "bucket"),
        ("from=yesterday", "from"),
        ("from=2026-02-30", "from"),
        ("from=1970-01-01", "from"),
        ("to=9999-12-31", "to"),
        ("to=2099-12-31", "to"),
        ("from=2026-03-02&to=2026-03-02", "from"),
        ("bucket=hour&from=2025-01-01&to=2026-01-01", "from"),
        ("metrics=", "metrics"),
        ("metrics=tokens,money", "metrics"),
        ("group_by=account", "group_by"),
        ("limit=0", "limit"),
        ("limit=51", "limit"),
        ("limit=ten", "limit"),
        ("previous=maybe", "previous"),
        ("user=%00", "user"),
        ("since=2026-01-01", "since"),
    ],
)
def test_a_series_that_cannot_be_is_refused(api, query, name):
    answer = api.get(f"/usage/series?{query}")
    assert_problem(answer, 422, "invalid_query", f"/{name}")


def test_nobody_sees_what_others_used(api, stranger, rival, bot, used):
    used(user="alice-only")
    theirs = create_bot(account=rival, name="Theirs", actor=SYSTEM, now=MARCH)
    used(account=rival, by=theirs, tokens=3, user="charlie-only")

    assert march(stranger).json()["totals"]["tokens"] == 3
    assert march(api).json()["totals"]["tokens"] == 100
    for name, foreign in (("bot", bot.public_id), ("user", "alice-only")):
        found = march(stranger, **{name: foreign}).json()
        absent = march(stranger, **{name: "nothing"}).json()
        assert found == absent
        assert found["totals"]["tokens"] == 0
    text = stranger.get("/usage/attribution?period=2026-03&group_by=user").content
    assert b"alice" not in text


def test_a_key_of_a_project_or_bot_sees_its_own(acme, bot, project, project_api, used):
    inner = create_bot(
        account=acme, name="Inner", project=project, actor=SYSTEM, now=MARCH
    )
    elsewhere = create_project(
        account=acme, name="Asia", external_id="asia", actor=SYSTEM, now=MARCH
    )
    account_key, _ = create_key(
        account=acme, name="Secret name", scopes=["*"], actor=SYSTEM, now=MARCH
    )
    used(tokens=1)
    used(by=inner, tokens=10, key_id=account_key.id)
    used(tokens=100, project_id=elsewhere.id)
    # A bot without a project, called with a key of this one.
    used(tokens=1000, project_id=project.id)

    assert march(project_api).json()["totals"]["tokens"] == 1010
    assert march(project_api, project="asia").json()["totals"]["tokens"] == 0
    found = rows(march(project_api, group_by="bot", metrics="tokens"))
    assert [(row["name"], row["tokens"]) for row in found] == [
        (None, 1000),
        ("Inner", 10),
    ]
    by_key = project_api.get("/usage/attribution?period=2026-03&group_by=key")
    assert b"Secret" not in by_key.content
    bound = key_api(acme, bot=inner)
    assert march(bound).json()["totals"]["tokens"] == 10
    assert march(bound, bot=bot.public_id).json()["totals"]["tokens"] == 0


@pytest.mark.parametrize("role", ["owner", "operator", "auditor", "viewer"])
def test_roles(acme, bob, used, role):
    used()
    Member.objects.filter(person=bob).update(role=role)

    assert march(person_api(bob)).json()["totals"]["tokens"] == 100
    answer = person_api(bob).get("/usage/attribution?period=2026-03&account=acme")
    assert answer.status_code == 200


def test_a_key_without_the_scope_sees_nothing(acme):
    for path in ("series", "attribution?group_by=nonsense"):
        answer = key_api(acme, ["decide"]).get(f"/usage/{path}")
        assert_problem(answer, 403, "missing_scope")


def test_an_account_has_no_events_read(api, used, django_assert_max_num_queries):
    used()
    with django_assert_max_num_queries(14) as asked:
        march(api, group_by="bot", previous="true")
    events = [q["sql"] for q in asked if "usage_usageevent" in q["sql"]]
    # Only whether anything waits to be rolled up.
    assert [sql for sql in events if "LIMIT 2001" not in sql] == []
