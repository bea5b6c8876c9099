"""Two ledgers of two lane processes, and short ways to call them."""

from datetime import timedelta

from asgiref.sync import sync_to_async

from tests.usage.house import NOON
from usage.entries import CallIn, EventIn, Item

in_thread = sync_to_async(thread_sensitive=True)


class Clock:
    """A clock that stands until it is moved; `behind` is one process's own error."""

    def __init__(self):
        self.now = NOON

    def behind(self, **span):
        return lambda: self.now - timedelta(**span)

    def __call__(self):
        return self.now


class Caller:
    """Short ways to put one request to one of the ledgers."""

    def __init__(self, house, ledger):
        self.account = house.account.id
        self.bot = house.bot.public_id
        self.ledger = ledger

    async def put(self, request, key=None):
        (answer,) = (
            await self.ledger.submit(Item(self.account, [request], key))
        ).answers
        return answer

    async def hold(self, tokens, **fields):
        call = CallIn(bot=self.bot, estimate={"tokens": tokens}, reserve=True, **fields)
        body = (await self.put(call)).body
        return body["reservation"]["id"] if body["allowed"] else None

    async def check(self, **fields):
        return (await self.put(CallIn(bot=self.bot, **fields))).body

    async def send(self, **fields):
        return await self.put(EventIn(bot=self.bot, **fields))
