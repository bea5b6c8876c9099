"""`manage.py resetmonthly --account SLUG`: KavachOS's `resetMonthly`."""

from usage.management.resetting import ResetCommand


class Command(ResetCommand):
    """Reset the counters of calendar months."""

    help = "Reset the counters of months, as `reset_counters --period month` does."
    period = "month"
