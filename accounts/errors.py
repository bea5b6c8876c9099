"""What can go wrong, each with a status and a code that stay the same for ever."""

from collections.abc import Sequence
from typing import ClassVar, NotRequired, TypedDict


class FieldError(TypedDict):
    """One fault in a body: where (JSON pointer) and what."""

    pointer: str
    detail: str
    code: NotRequired[str]


class DomainError(Exception):
    """Base of every error that a caller may see (CONTRACT G1)."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    title: ClassVar[str] = "The request cannot be served."

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
    ) -> None:
        self.detail = detail or self.title
        self.errors: list[FieldError] = list(errors)
        self.retry_after = retry_after
        super().__init__(self.detail)


class InvalidBody(DomainError):
    """The body is not what the route takes; `errors` says where."""

    status, code = 422, "invalid_body"
    title = "The body does not have the right form."


class MalformedJson(DomainError):
    """The body is not JSON that we accept."""

    status, code = 400, "malformed_json"
    title = "The body is not valid JSON."


class BodyTooLarge(DomainError):
    """The body is over the size cap."""

    status, code = 413, "body_too_large"
    title = "The body is too large."


class UnsupportedMediaType(DomainError):
    """The content type or encoding is not one the route takes."""

    status, code = 415, "unsupported_media_type"
    title = "The content type is not supported."


class InvalidKey(DomainError):
    """No key, a malformed one, or one that is unknown, expired or revoked."""

    status, code = 401, "invalid_key"
    title = "The API key is missing or not valid."


class MissingScope(DomainError):
    """The key is good but may not do this."""

    status, code = 403, "missing_scope"
    title = "The API key lacks the scope for this."


class Forbidden(DomainError):
    """The caller's role or binding does not allow this."""

    status, code = 403, "forbidden"
    title = "You may not do this."


class NotFound(DomainError):
    """Absent, or somebody else's: the two look the same (CONTRACT G2)."""

    status, code = 404, "not_found"
    title = "There is nothing with this id."


class UnknownReference(DomainError):
    """A body names an id that is absent or somebody else's."""

    status, code = 422, "unknown_reference"
    title = "The body refers to something that does not exist."


class Conflict(DomainError):
    """The state does not allow this now."""

    status, code = 409, "conflict"
    title = "The current state does not allow this."


class AlertNotOpen(Conflict):
    """The alert is acknowledged or resolved: there is nothing to put aside."""

    code = "alert_not_open"
    title = "This alert is not open."


class DuplicateExternalId(Conflict):
    """An external id is taken within the account."""

    code = "external_id_taken"
    title = "This external id is taken."


class DuplicateEvent(Conflict):
    """The event id was used before, with other content (CONTRACT A5)."""

    code = "event_id_reused"
    title = "This event id was recorded with other content."


class IdempotencyMismatch(DomainError):
    """The Idempotency-Key came before with another body (CONTRACT G5)."""

    status, code = 422, "idempotency_key_reused"
    title = "This Idempotency-Key was used with another body."


class RequestInFlight(Conflict):
    """The first request with this Idempotency-Key is not answered yet (G5)."""

    code = "idempotency_key_in_flight"
    title = "The first request with this Idempotency-Key is still running."


class BlockIsShared(Conflict):
    """The block covers more than this bot (CONTRACT C4)."""

    code = "block_is_shared"
    title = "The block covers more than this bot; clear it on its policy."


class AlreadyArchived(Conflict):
    """The thing was archived before and takes no more edits."""

    code = "archived"
    title = "It is archived and cannot be changed."


class StaleRevision(DomainError):
    """If-Match names an older revision."""

    status, code = 412, "stale_revision"
    title = "It was changed in the meantime; read it again."


class PreconditionRequired(DomainError):
    """The route needs If-Match."""

    status, code = 428, "precondition_required"
    title = "Send If-Match with the revision you read."


class CounterFull(DomainError):
    """A sum would leave what a counter can hold (9.2e18); a reset empties it."""

    status, code = 422, "counter_full"
    title = "A counter cannot take this much more; reset it, or send less."


class EstimateRequired(DomainError):
    """A hold cannot be made without an amount (CONTRACT B6)."""

    status, code = 422, "estimate_required"
    title = "A policy needs the estimate to say how much to hold."


class EventInFuture(DomainError):
    """`occurred_at` is more than five minutes ahead (CONTRACT A6)."""

    status, code = 422, "event_in_future"
    title = "The event lies more than 5 minutes in the future."


class ReservationMismatch(DomainError):
    """Bot, user or model differ from the reservation's (CONTRACT B6)."""

    status, code = 422, "reservation_mismatch"
    title = "The event does not match its reservation."


class Unavailable(DomainError):
    """Nothing can be decided now (CONTRACT C10)."""

    status, code = 503, "enforcement_unavailable"
    title = "The decision cannot be made now; try again."


class Overloaded(DomainError):
    """Too many calls are waiting."""

    status, code = 503, "overloaded"
    title = "Too many calls are waiting; try again."
