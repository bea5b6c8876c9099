"""What calls under way hold now, read along with the policies that make them hold."""

from dashboard.usage_picture import usage_policies
from dashboard.usage_query import Asked
from dashboard.visits import Visit
from policies.models import Policy
from usage.selectors import held_now


def policies_and_held(visit: Visit, asked: Asked) -> tuple[list[Policy], int]:
    """Return the policies whose caps may be drawn, and what is held now.

    In one query: without a usage policy nothing is ever held. A stretch that ended
    before now holds nothing either.
    """
    rows = usage_policies(visit)
    if not asked.edges[-2] <= visit.now < asked.edges[-1]:
        return list(rows), 0
    held = held_now(account=visit.account, filters=asked.filters, metric=asked.metric)
    found = list(rows.annotate(held_now=held))
    return [*found], found[0].held_now if found else 0
