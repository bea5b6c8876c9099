"""`Idempotency-Key`: a POST that is sent again does nothing twice (CONTRACT G5).

What the request does and the answer that is remembered lie in one transaction, so a
crash leaves both or neither. Only what succeeded is remembered: a refusal did nothing,
and the same request may well succeed once its cause is gone.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any, Final
from uuid import UUID

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import IdempotencyMismatch, RequestInFlight
from api.callers import Caller
from api.idempotency_keys import checked_key
from api.models import IdempotentAnswer

KEPT: Final = timedelta(hours=24)
_SWEEP: Final = 100


def answer_once(
    request: Request,
    caller: Caller,
    handler: Callable[[], Response],
    now: datetime,
) -> Response:
    """Answer a POST, or replay the first answer to it.

    Raises InvalidIdempotencyKey, RequestInFlight, and IdempotencyMismatch for a key
    that came before with another body.
    """
    name = _name(request, caller)
    digest = sha256(request._request.body).hexdigest()  # noqa: SLF001
    with transaction.atomic():
        _claim(name)
        first = _remembered(name, caller, now)
        if first is not None:
            if first.request_digest != digest:
                raise IdempotencyMismatch
            return _replay(first)
        answer = handler()
        if answer.status_code < 300:
            _remember(name, caller, digest, answer, now)
    return answer


def _name(request: Request, caller: Caller) -> UUID:
    key = checked_key(request.META["HTTP_IDEMPOTENCY_KEY"])
    parts = [str(caller.account.id), caller.actor.id, request.path, key]
    text = json.dumps(parts).encode()
    return UUID(bytes=blake2b(text, digest_size=16).digest())


def _claim(name: UUID) -> None:
    number = int.from_bytes(name.bytes[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise RequestInFlight


def _remembered(name: UUID, caller: Caller, now: datetime) -> IdempotentAnswer | None:
    mine = IdempotentAnswer.objects.filter(account=caller.account, id=name)
    return mine.filter(created_at__gt=now - KEPT).first()


def _remember(
    name: UUID, caller: Caller, digest: str, answer: Response, now: datetime
) -> None:
    shown = JSONRenderer().render(answer.data)
    IdempotentAnswer.objects.update_or_create(
        id=name,
        defaults={
            "account": caller.account,
            "request_digest": digest,
            "status": answer.status_code,
            "etag": answer.headers.get("ETag", ""),
            "answer": _box().encrypt(shown),
            "created_at": now,
        },
    )
    old = IdempotentAnswer.objects.filter(created_at__lte=now - KEPT)
    ids: list[Any] = list(old.values_list("id", flat=True)[:_SWEEP])
    old.filter(id__in=ids).delete()


def _replay(first: IdempotentAnswer) -> Response:
    headers = {"Idempotent-Replayed": "true"}
    if first.etag:
        headers["ETag"] = first.etag
    shown = json.loads(_box().decrypt(bytes(first.answer)))
    return Response(shown, status=first.status, headers=headers)


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.POLICYHUB_ENCRYPTION_KEYS])
