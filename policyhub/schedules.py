"""The clock's timetable: declared by the apps, kept in the database.

What the code declared last is written in a row's description. A row that still says
the same is ours, and follows the code; one that a person has edited is theirs, and
stays as it is.
"""

from dataclasses import dataclass

from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from alerts import tasks as alerts_tasks
from policyhub import tasks as policyhub_tasks
from retention import tasks as retention_tasks
from usage import tasks as usage_tasks

DECLARED_BY = "Declared by PolicyHub: "


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task that runs every `seconds`."""

    title: str
    task: str
    seconds: int

    @property
    def description(self) -> str:
        """The declaration in words, kept to tell an operator's edit from ours."""
        return f"{DECLARED_BY}{self.task} every {self.seconds} s"


SCHEDULES = tuple(
    Schedule(*declared)
    for module in (alerts_tasks, retention_tasks, usage_tasks, policyhub_tasks)
    for declared in module.SCHEDULES
)


@transaction.atomic
def sync(schedules: tuple[Schedule, ...] = SCHEDULES) -> None:
    """Bring the timetable up to date with the code; an operator's edits stay."""
    rows = PeriodicTask.objects.select_related("interval").select_for_update(
        of=["self"]
    )
    known = {row.name: row for row in rows}
    for schedule in schedules:
        row = known.pop(schedule.title, None)
        if row is None:
            _write(PeriodicTask(name=schedule.title), schedule)
        elif _is_ours(row) and row.description != schedule.description:
            _write(row, schedule)
    gone = [row.pk for row in known.values() if _is_ours(row)]
    PeriodicTask.objects.filter(pk__in=gone).delete()
    PeriodicTasks.update_changed()


def _is_ours(row: PeriodicTask) -> bool:
    """Whether the row still is what the code once declared."""
    interval = row.interval
    if interval is None or interval.period != IntervalSchedule.SECONDS:
        return False
    declared = Schedule(row.name, row.task, interval.every).description
    untouched = row.args == "[]" and row.kwargs == "{}" and not row.one_off
    return row.enabled and untouched and row.description == declared


def _write(row: PeriodicTask, schedule: Schedule) -> None:
    interval, _ = IntervalSchedule.objects.get_or_create(
        every=schedule.seconds, period=IntervalSchedule.SECONDS
    )
    row.task = schedule.task
    row.interval = interval
    row.description = schedule.description
    # A worker that was away does the work once, not once for each missed turn.
    row.expire_seconds = max(2 * schedule.seconds, 60)
    row.save()
