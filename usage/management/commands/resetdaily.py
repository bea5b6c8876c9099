"""`manage.py resetdaily --account SLUG`: KavachOS's `resetDaily`."""

from usage.management.resetting import ResetCommand


class Command(ResetCommand):
    """Reset the counters of calendar days."""

    help = "Reset the counters of days, as `reset_counters --period day` does."
    period = "day"
