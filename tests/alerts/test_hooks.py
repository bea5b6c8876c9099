"""Hooks are found among installed packages, and a broken one harms nobody."""

from importlib.metadata import EntryPoint

import pytest
from django.db import OperationalError

from alerts import courier, hooks

HEARD: list = []


def listen(event):
    HEARD.append(event)


@pytest.fixture(autouse=True)
def _fresh():
    forget = hooks.hooks.cache_clear
    HEARD.clear()
    forget()
    yield
    forget()


def installed(monkeypatch, *values):
    found = [EntryPoint(f"hook-{n}", value, hooks.GROUP) for n, value in values]
    monkeypatch.setattr(hooks, "entry_points", lambda group: found)


def test_hooks_are_loaded_by_their_entry_points(monkeypatch):
    installed(monkeypatch, (1, f"{__name__}:listen"), (2, "no_such_module:f"))

    assert hooks.call({"type": "policy.reset"}) == 1
    assert HEARD == [{"type": "policy.reset"}]


def test_a_hook_cannot_change_what_the_next_one_gets(monkeypatch):
    def spoil(event):
        event.clear()

    pairs = (("a", spoil), ("b", listen))
    monkeypatch.setattr(hooks, "hooks", lambda: pairs)

    assert hooks.call({"type": "x"}) == 2
    assert HEARD == [{"type": "x"}]


def test_a_courier_goes_on_whatever_happens(monkeypatch):
    """A database that is away, and an error in a round, end nothing."""
    monkeypatch.setattr(courier.Courier, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(courier.Courier, "PAUSE_WITHOUT_DATABASE", 0.01)
    monkeypatch.setattr(courier, "close_old_connections", lambda: None)
    turns = []

    def round_of(now):
        turns.append(now)
        if len(turns) == 1:
            raise OperationalError("away")
        if len(turns) == 2:
            raise ZeroDivisionError
        if len(turns) == 4:
            thread.stop()
        return 0

    thread = courier.Courier("test", [round_of])
    thread.start()
    thread.join(60)

    assert len(turns) == 4
