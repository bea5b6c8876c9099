"""What the worker does about alerts, at one moment."""

from alerts import services
from policies.services import tell_of_blocks
from usage.denials import tell_denials
from usage.upkeep import end_windows


def work(now):
    """Do one round of everything; return how many messages reached an endpoint."""
    end_windows(now=now)
    services.resolve_due(now=now)
    tell_of_blocks(now=now)
    tell_denials(now=now)
    services.announce_due(now=now)
    services.dispatch_due(now=now)
    services.deliver_due(now=now)
    return services.post_due(now=now)
