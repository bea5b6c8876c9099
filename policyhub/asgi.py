"""The lane's root: hot routes, probes, and everything else on to the pages."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import django
import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "policyhub.settings")
django.setup()

from api import lane  # noqa: E402 (models need Django to be set up)
from api.hot import ShortCut  # noqa: E402
from api.lane_direct import DirectCalls  # noqa: E402
from gateway.lane import PREFIX, opened  # noqa: E402
from policyhub.embedded.state import pages_socket  # noqa: E402
from policyhub.env import ENV  # noqa: E402
from policyhub.forward import Pages  # noqa: E402
from policyhub.memory import settle  # noqa: E402
from usage import pricing  # noqa: E402

# Here, and not inside the first call that has a price.
pricing.load()

pages = Pages(pages_socket(ENV.state_dir))
_GATEWAY = PREFIX + "/"
NO_STORE = {"Cache-Control": "no-store"}


async def healthz(request: Request) -> Response:
    """This process answers; nothing else is asked."""
    return JSONResponse({"status": "ok"}, headers=NO_STORE)


async def readyz(request: Request) -> Response:
    """200 when the database, the migrations and both server processes are fine."""
    host = ENV.allowed_hosts[0].lstrip(".").replace("*", "localhost")
    headers = [
        (b"host", host.encode("ascii")),
        (b"x-forwarded-proto", b"https" if ENV.https else b"http"),
    ]
    try:
        status, body = await pages.ask("/readyz", headers)
        checks = json.loads(body)["checks"]
    except (httpx.TransportError, ValueError, KeyError):
        status, checks = 503, {"pages": "unreachable"}
    else:
        checks["pages"] = "ok"
    word = "ready" if status == 200 else "not_ready"
    document = {"status": word, "checks": {**checks, "lane": "ok"}}
    return JSONResponse(document, status, NO_STORE)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Open what the hot routes need; close it and the way to the pages at the end."""
    async with (
        lane.lifespan(app),
        opened(
            keys=app.state.keys,
            ledger=app.state.ledger,
            conninfo=lane.lane_conninfo(),
        ) as app.state.gateway,
    ):
        settle()
        direct = DirectCalls(app.state.keys, app.state.ledger)
        yield {"direct": direct.by_path()}
    await pages.close()


root = Starlette(
    routes=[
        *lane.routes,
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ],
    lifespan=lifespan,
)
root.router.redirect_slashes = False
# Not a route: a route's pattern would not match a path with a line break.
root.router.default = pages
hot = ShortCut(root, lane.routes)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Take a request to the gateway, to a hot route, or to the rest."""
    if scope["type"] == "http":
        path = scope["path"]
        if path.startswith(_GATEWAY) or path == PREFIX:
            await root.state.gateway(scope, receive, send)
            return
    await hot(scope, receive, send)
