"""An integrator at the hot routes: a client with a key of its own."""

from asgiref.sync import sync_to_async
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.services import create_key

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
