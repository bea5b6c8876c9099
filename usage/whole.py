"""An edit is done wholly or not at all, whenever its process dies."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

from usage import crashpoints

P = ParamSpec("P")
R = TypeVar("R")


def whole(edit: Callable[P, R]) -> Callable[P, R]:
    """Run an edit in one transaction, or as a part of its caller's."""

    @wraps(edit)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            return edit(*args, **kwargs)
        with transaction.atomic():
            crashpoints.reach("edit-begun")
            edited = edit(*args, **kwargs)
            crashpoints.reach("edit-written")
        crashpoints.reach("edit-committed")
        return edited

    return run
