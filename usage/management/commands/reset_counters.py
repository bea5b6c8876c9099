"""`manage.py reset_counters --period day --account SLUG`: start counting again."""

from usage.management.resetting import ResetCommand


class Command(ResetCommand):
    """Reset the counters of days, of months, or all."""

    help = "Set what policies have used to 0 and lift the blocks that came from it."
