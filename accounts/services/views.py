"""The views of pages that people save: theirs alone, so no change record says so."""

from datetime import datetime
from typing import Final

from django.db import transaction

from accounts import ids
from accounts.errors import Conflict
from accounts.models import Account, Person, SavedView

MOST_VIEWS: Final = 20


@transaction.atomic
def save_view(
    *,
    account: Account,
    person: Person,
    page: str,
    name: str,
    query: str,
    now: datetime,
) -> SavedView:
    """Keep a query of a page under a name; an earlier one of this name gives way.

    Raises Conflict when the person has as many views of the page as may be.
    """
    # Two windows of one person may save at once: the second waits for the first.
    Person.objects.select_for_update().get(id=person.id)
    mine = SavedView.objects.filter(account=account, person=person, page=page)
    known = mine.filter(name=name).first()
    if known is not None:
        known.query = query
        known.save(update_fields=["query"])
        return known
    if mine.count() >= MOST_VIEWS:
        raise Conflict("You have 20 views of this page; delete one first.")
    return SavedView.objects.create(
        id=ids.new_id(now),
        account=account,
        person=person,
        page=page,
        name=name,
        query=query,
        created_at=now,
    )


def delete_view(*, view: SavedView) -> None:
    """Forget a view."""
    view.delete()
