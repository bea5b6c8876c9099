"""The picture of a crossing on an alert's page: where it goes through, and when not."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import Alert
from dashboard.crossings import crossing_of
from dashboard.growth import Growth
from tests.dashboard.conftest import usage_document
from tests.dashboard.rolled import rolled_up
from usage import edits, ledger
from usage.entries import EventIn

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def now():
    """Noon, so that each window's begin is known whatever the day the test runs on."""
    return NOON


def used(account, bot, at, tokens):
    event = EventIn(bot=bot.public_id, tokens=tokens, occurred_at=at)
    results = ledger.record_events(account=account, events=[event], now=at)
    assert results[0].status == "recorded"


@pytest.fixture
def alert(account, bot, policy):
    """The day's step at 80 % was crossed at noon; 500 had gone three hours before."""
    used(account, bot, NOON - timedelta(hours=3), 500)
    used(account, bot, NOON, 350)
    later = NOON + timedelta(hours=2)
    used(account, bot, later, 50)
    rolled_up(later + timedelta(minutes=5))
    return account.alerts.get(step=80)


def test_growth_is_even_within_an_hour():
    grown = Growth({NOON: 60, NOON + timedelta(hours=2): 40}, NOON + timedelta(days=1))
    minutes = (-1, 0, 30, 60, 119, 150, 180, 999)
    found = [grown.by(NOON + timedelta(minutes=each)) for each in minutes]
    assert found == [0, 0, 30, 60, 60, 80, 100, 100]
    # An hour that is known by half has grown to all it has by then.
    half = Growth({NOON: 60}, NOON + timedelta(minutes=30))
    assert half.by(NOON + timedelta(minutes=15)) == 30
    assert half.between(NOON, NOON + timedelta(minutes=30)) == 60


def test_the_line_goes_through_the_crossing(account, alert):
    drawn = crossing_of(account, alert, NOON + timedelta(hours=6))
    crossed = [point for point in drawn.points if point.crossed]
    assert [(point.at, point.used) for point in crossed] == [(NOON, 850)]
    assert drawn.points[0].at == NOON - timedelta(hours=12)
    assert drawn.points[-1].at == NOON + timedelta(hours=6)
    assert crossed[0] in drawn.rows
    assert drawn.points[-1] in drawn.rows
    amounts = [point.used for point in drawn.points]
    assert amounts == sorted(amounts)
    assert (drawn.top, drawn.cap, drawn.step) == (1000, 0.0, 20.0)
    assert drawn.dot == (66.67, 15.0)
    assert [p.used for p in drawn.points if p.at.hour in (8, 10, 13, 15)] == [
        0,
        500,
        850,
        900,
    ]
    # It ends with the window, however late somebody looks.
    late = crossing_of(account, alert, NOON + timedelta(days=9))
    assert late.points[-1].at == NOON + timedelta(hours=12)


def test_it_is_said_and_shown_as_a_table(
    browser, account, alert, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        page = browser.get(f"/app/acme/alerts/{alert.public_id}/").content.decode()
    said = "850 of 1,000 tokens on Wed 4 Mar 12:00, 12 h after the window began."
    assert said in page
    assert "How it came to that" in page
    assert "The crossing</span>" in page
    assert page.count('class="dot"') == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "block"},
        {"late": True},
        {"used": None},
        {"threshold": 7},
        {"metric": "cost"},
        {"policy_id": "pol_x"},
        {"policy_id": ""},
        {"subject": [["bot", "bot_x"]]},
        {"window_start": NOON - timedelta(days=90), "created_at": NOON - timedelta(50)},
    ],
)
def test_what_cannot_be_drawn_is_left_out(browser, account, alert, changed):
    Alert.objects.filter(id=alert.id).update(**changed)
    alert.refresh_from_db()
    assert crossing_of(account, alert, NOON + timedelta(hours=6)) is None
    answer = browser.get(f"/app/acme/alerts/{alert.public_id}/")
    assert answer.status_code == 200
    assert "How it came to that" not in answer.content.decode()


def test_what_a_reset_took_away_is_not_drawn_beside_it(account, alert):
    """The counter said less than the hours do: the line is moved to the alert."""
    Alert.objects.filter(id=alert.id).update(used=100)
    alert.refresh_from_db()
    drawn = crossing_of(account, alert, NOON + timedelta(hours=6))
    assert max(point.used for point in drawn.points if point.at < NOON) == 100
    assert drawn.points[-1].used == 500


def test_rolling_windows_forget(account, bot, actor):
    window = {"kind": "rolling", "seconds": 86_400}
    limit = {"metric": "tokens", "threshold": 1000, "window": window}
    document = usage_document(limits=[limit], alert_steps=[100])
    at = NOON - timedelta(days=3)
    edits.create_policy(account=account, document=document, actor=actor, now=at)
    used(account, bot, NOON - timedelta(hours=30), 900)
    used(account, bot, NOON - timedelta(hours=2), 400)
    used(account, bot, NOON, 700)
    rolled_up(NOON + timedelta(minutes=5))
    drawn = crossing_of(account, account.alerts.get(step=100), NOON)
    amounts = [point.used for point in drawn.points]
    assert amounts[0] == 900
    assert min(amounts) == 0
    assert amounts[-1] == 1100
    assert drawn.began is None
    assert drawn.step is None


def test_windows_of_an_hour_have_no_picture(account, bot, actor):
    window = {"kind": "calendar", "unit": "hour"}
    limit = {"metric": "tokens", "threshold": 1000, "window": window}
    document = usage_document(limits=[limit], alert_steps=[100])
    edits.create_policy(account=account, document=document, actor=actor, now=NOON)
    used(account, bot, NOON, 1000)
    rolled_up(NOON + timedelta(minutes=5))
    assert crossing_of(account, account.alerts.get(step=100), NOON) is None
