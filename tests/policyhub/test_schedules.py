"""The timetable follows the code until a person changes it."""

import time
from argparse import Namespace
from threading import Event

import pytest
from django.db import OperationalError
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from policyhub.celery import app
from policyhub.schedules import SCHEDULES, Schedule, sync
from policyhub.worker import Clock, ClockThread

pytestmark = pytest.mark.django_db

OLD = (Schedule("Deliver", "alerts.deliver_due", 10),)
NEW = (Schedule("Deliver", "alerts.deliver_due", 20),)


def row() -> PeriodicTask:
    return PeriodicTask.objects.select_related("interval").get(name="Deliver")


def test_every_declared_task_exists():
    app.loader.import_default_modules()

    assert {schedule.task for schedule in SCHEDULES} <= set(app.tasks)
    assert len({schedule.title for schedule in SCHEDULES}) == len(SCHEDULES)


def test_a_start_writes_the_timetable_once():
    sync()
    sync()

    rows = PeriodicTask.objects.exclude(name="celery.backend_cleanup")
    assert rows.count() == len(SCHEDULES)


def test_an_untouched_row_follows_the_code():
    sync(OLD)
    sync(NEW)

    assert row().interval.every == 20


@pytest.mark.parametrize("edit", ["interval", "enabled", "kwargs", "description"])
def test_an_edited_row_stays(edit):
    sync(OLD)
    edited = row()
    hour, _ = IntervalSchedule.objects.get_or_create(
        every=3600, period=IntervalSchedule.SECONDS
    )
    values = {"interval": hour, "enabled": False}
    values |= {"kwargs": '{"a": 1}', "description": "Ours now."}
    setattr(edited, edit, values[edit])
    edited.save()

    sync(NEW)

    assert getattr(row(), edit) == values[edit]
    assert row().interval.every != 20


def test_what_is_no_longer_declared_goes_unless_it_was_edited():
    sync((*OLD, Schedule("Other", "usage.roll_up", 15)))
    PeriodicTask.objects.filter(name="Other").update(enabled=False)

    sync(())

    names = set(PeriodicTask.objects.values_list("name", flat=True))
    assert "Deliver" not in names
    assert "Other" in names


def test_jobs_are_json_acknowledged_late_and_taken_one_by_one():
    assert list(app.conf.accept_content) == ["json"]
    assert app.conf.task_serializer == "json"
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    visible = app.conf.broker_transport_options["visibility_timeout"]
    assert visible > app.conf.task_time_limit


def test_the_clock_in_the_worker_reads_the_timetable_in_the_database():
    worker = Namespace(app=app, steps=[])

    thread = Clock(worker, clock=True).create(worker)

    assert thread.service.scheduler_cls == app.conf.beat_scheduler
    assert "DatabaseScheduler" in thread.service.scheduler_cls


def test_the_clock_goes_on_when_the_database_was_away(monkeypatch):
    """A crash of PostgreSQL while the timetable was read ended the thread for good."""
    started = []

    class Beat:
        def __init__(self, app, scheduler_cls):
            self.stopped = Event()

        def start(self):
            started.append(self)
            if len(started) < 3:
                raise OperationalError("couldn't get a connection after 5.00 sec")
            self.stopped.wait(60)

        def stop(self):
            self.stopped.set()

    monkeypatch.setattr("policyhub.worker.Service", Beat)
    monkeypatch.setattr(ClockThread, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("policyhub.worker.close_old_connections", lambda: None)
    thread = ClockThread(app, None)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while len(started) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert thread.is_alive()
    finally:
        thread.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert len(started) == 3
