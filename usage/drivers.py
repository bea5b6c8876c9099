"""The two drivers of the ledger's batches: a few lines of I/O each, no decisions."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

import psycopg
from django.db import connection
from psycopg import RawCursor

from usage.batch import Decided
from usage.statements import Statement
from usage.wire import Reply, Wire

RETRIED = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

Result = TypeVar("Result")


class InDoubt(Exception):
    """The connection was lost during COMMIT: `decided` may stand, or may not."""

    def __init__(self, decided: Decided) -> None:
        super().__init__()
        self.decided = decided


def drive(steps: Generator[list[Statement], Any, Result]) -> Result:
    """Run a generator of statements on Django's connection; return what it returns.

    Raises what Django raises for a failed statement. Belongs into a transaction.
    """
    connection.ensure_connection()
    reply: Reply | None = None
    with connection.wrap_database_errors, connection.connection.pipeline():
        while True:
            try:
                wanted = next(steps) if reply is None else steps.send(reply)
            except StopIteration as done:
                result: Result = done.value
                return result
            cursors = []
            for statement in wanted:
                cursor = RawCursor(connection.connection)
                cursor.execute(statement.sql, statement.parameters, prepare=True)
                cursors.append(cursor)
            reply = [
                cursor.fetchall() if statement.rows else None
                for statement, cursor in zip(wanted, cursors, strict=True)
            ]


async def drive_async(
    database: psycopg.AsyncConnection[Any],
    steps: Generator[list[Statement], Any, Decided],
    first: list[Statement],
    meanwhile: Callable[[], Awaitable[None]],
) -> Decided:
    """Run one batch in one transaction of an autocommit connection.

    `first` is what `steps` asked for first; `meanwhile` is done while PostgreSQL
    commits.
    Raises InDoubt if the connection is lost when everything but COMMIT is done.
    """
    wire = Wire(database)
    decided: Decided | None = None
    try:
        wire.begin()
        decided = await _run(wire, steps, first)
        await wire.commit(meanwhile)
    except asyncio.CancelledError:
        wire.close()
        raise
    except psycopg.OperationalError as lost:
        await wire.give_up()
        in_doubt = decided is not None and decided.transaction is not None
        if decided is None or not in_doubt or isinstance(lost, RETRIED):
            raise
        raise InDoubt(decided) from lost
    except BaseException:
        await wire.give_up()
        raise
    return decided


async def _run(
    wire: Wire,
    steps: Generator[list[Statement], Any, Decided],
    first: list[Statement],
) -> Decided:
    reply = await wire.ask(first)
    while True:
        try:
            wanted = steps.send(reply)
        except StopIteration as done:
            decided: Decided = done.value
            return decided
        reply = await wire.ask(wanted)
