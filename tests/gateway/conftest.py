"""A lane with the gateway in it, and a house whose calls go through it.

Models are imported inside: pytest may read this file before Django is set up.
"""

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils.timezone import now as utc_now


@pytest.fixture
def alice():
    from tests.usage.house import House

    return House("alice", now=utc_now())


@pytest.fixture
async def gateway():
    """The gateway over the lane's own ledger and keys."""
    from starlette.applications import Starlette

    from api import lane
    from gateway.lane import opened

    app = Starlette(routes=lane.routes)
    async with (
        lane.lifespan(app),
        opened(
            keys=app.state.keys,
            ledger=app.state.ledger,
            conninfo=lane.lane_conninfo(),
        ) as gate,
    ):
        yield gate
    await sync_to_async(connections.close_all, thread_sensitive=True)()


@pytest.fixture
async def client(gateway, alice):
    """An HTTP client with a key that may use the gateway."""
    from tests.gateway.house import new_key

    key = await sync_to_async(new_key)(alice)
    transport = httpx.ASGITransport(app=gateway)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://lane/v1", headers=headers
    ) as opened_client:
        yield opened_client
