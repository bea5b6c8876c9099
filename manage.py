#!/usr/bin/env python
"""Run a management command of PolicyHub."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "policyhub.settings")
    try:
        # First, so that a wrong setting is one line that names it.
        __import__("policyhub.settings")
    except ImproperlyConfigured as error:
        sys.exit(f"policyhub: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
