"""What a call is taken to consume: its estimate, made whole (CONTRACT A2, A3)."""

from collections.abc import Mapping

from policies.decision import amount_of
from usage.entries import CallIn, parts_of
from usage.recording import priced_as
from usage.work import Entry, Work


def amounts_of(
    work: Work, entry: Entry, request: CallIn, estimate: Mapping[str, int | None]
) -> dict[str, int | None]:
    """Fill an estimate: defaults of A2, the cost from the price list (A3)."""
    said: dict[str, int | None] = {"calls": 1, "messages": 0, **estimate}
    if said.get("tokens") is None:
        said["tokens"] = amount_of(said, "tokens")
    if "conversations" not in said:
        said["conversations"] = 1 if _is_new_conversation(work, entry) else 0
    if said.get("cost") is None:
        read, written = _priced_parts(said)
        said["cost"] = entry.book.prices.cost(
            model=priced_as(work, entry, request),
            tokens=said["tokens"],
            input_tokens=read,
            output_tokens=written,
            now=work.now,
        )
    return said


def _priced_parts(said: Mapping[str, int | None]) -> tuple[int | None, int | None]:
    """Input and output tokens to price; what only the whole says goes to the other."""
    read, written = said.get("input_tokens"), said.get("output_tokens")
    if read is not None and written is not None:
        return read, written
    return parts_of(said.get("tokens"), read, written)


def _is_new_conversation(work: Work, entry: Entry) -> bool:
    if entry.seen is None or (entry.conversation or {}).get("id") is not None:
        return False
    # One that a later event of this batch names first is still new to this call.
    seen = entry.seen in work.seen_conversations
    return not seen or entry.seen in work.new_conversations
