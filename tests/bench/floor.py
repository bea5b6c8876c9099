"""The server's floor: one empty JSON route and nothing else."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def empty(request):
    return JSONResponse({})


app = Starlette(routes=[Route("/", empty, methods=["GET", "POST"])])
