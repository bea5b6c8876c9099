#!/usr/bin/env python
"""Run a management command of PolicyHub."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "policyhub.settings")
    try:
        if sys.argv[1:2] == ["up"]:
            # It only starts and watches processes: without Django that is quicker.
            from policyhub.start import main as up

            sys.exit(up(sys.argv[2:]))
        # First, so that a wrong setting is one line that names it.
        __import__("policyhub.settings")
    except ImproperlyConfigured as error:
        sys.exit(f"policyhub: {error}")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
