"""An integrator at the hot routes: a client with a key of its own."""

import asyncio

import httpx
from asgiref.sync import sync_to_async
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.services import create_key
from api.lane_direct import DirectCalls

AUTHORIZE, USAGE = "/api/v1/authorize", "/api/v1/usage"

in_thread = sync_to_async(thread_sensitive=True)


class Caller:
    """An HTTP client with a key of its own."""

    def __init__(self, client, key):
        self.client = client
        self.headers = {"Authorization": f"Bearer {key}"}

    async def post(self, path, json=None, **more):
        headers = self.headers | more.pop("headers", {})
        return await self.client.post(path, json=json, headers=headers, **more)

    async def get(self, path, **more):
        return await self.client.get(path, headers=self.headers, **more)


def new_key(house, *scopes, **bound):
    _, text = create_key(
        account=house.account,
        name="",
        scopes=list(scopes or ["*"]),
        actor=SYSTEM,
        now=utc_now(),
        **bound,
    )
    return text


class DirectTransport(httpx.ASGITransport):
    """Asks the lane as its server does: plain calls directly, the rest by ASGI."""

    def __init__(self, app):
        super().__init__(app=app)
        self.answered = []

    async def handle_async_request(self, request):
        app = self.app
        calls = DirectCalls(app.state.keys, app.state.ledger).by_path()
        direct = calls.get(request.url.raw_path)
        if direct is None or request.method != "POST":
            return await super().handle_async_request(request)
        told = asyncio.get_running_loop().create_future()
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        body = await request.aread()
        taken = direct(headers, body, told.set_result)
        self.answered.append(taken)
        if not taken:
            return await super().handle_async_request(request)
        reply = await told
        headers = [
            (b"content-type", reply.content_type),
            (b"cache-control", b"no-store"),
        ]
        return httpx.Response(
            reply.status, headers=[*headers, *reply.told], content=reply.body
        )
