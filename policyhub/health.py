"""What the pages answer to probes. The lane adds itself to `ready`."""

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def ready(request: HttpRequest) -> JsonResponse:
    """200 when the database is reachable and knows every migration, else 503."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return _answer(database="unreachable", migrations="unknown")
    if missing:
        return _answer(database="ok", migrations=f"{len(missing)} missing")
    return _answer(database="ok", migrations="ok")


def _answer(**checks: str) -> JsonResponse:
    fine = all(value == "ok" for value in checks.values())
    body = {"status": "ready" if fine else "not_ready", "checks": checks}
    return JsonResponse(
        body, status=200 if fine else 503, headers={"Cache-Control": "no-store"}
    )
