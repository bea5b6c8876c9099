"""Which upstreams an account has, which of them a key's calls go to, and as what.

What is read here is true at one version of the account. The ledger compares it under
the account's lock, so no call goes by an upstream or a content policy that was edited
before it began (CONTRACT C9).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import msgspec

from accounts import ids
from accounts.errors import Unavailable
from accounts.outbound import Target, UnsafeUrl, check_url
from gateway import echo, protocol
from gateway.protocol import Refusal
from gateway.secrets import UnreadableSecret, unseal
from usage.lookups import Lookups

_ACCOUNTS_KEPT: Final = 10_000
_BOTS_KEPT: Final = 10_000
_WAYS_KEPT: Final = 1_000
_DEFAULT: Final = "default"
_SECOND: Final = 1.0
_READ: Final = """SELECT a.version, a.plan,
(SELECT coalesce(jsonb_agg(to_jsonb(u) ORDER BY u.position, u.id), '[]')
 FROM gateway_upstream AS u
 WHERE u.account_id = a.id AND u.archived_at IS NULL AND u.enabled)::text,
(SELECT coalesce(jsonb_object_agg(b.external_id, b.id), '{}') FROM accounts_bot AS b
 WHERE b.account_id = a.id AND b.archived_at IS NULL
 AND (b.external_id = 'default' OR b.external_id LIKE 'default:prj\\_%%'))::text,
(SELECT coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'project', p.project_id,
  'revision', p.revision, 'document', p.document) ORDER BY p.id), '[]')
 FROM policies_policy AS p
 WHERE p.account_id = a.id AND p.type = 'content' AND p.archived_at IS NULL
 AND p.rollout_mode <> 'off')::text
FROM accounts_account AS a WHERE a.id = %s"""
_BOT: Final = """SELECT a.version, b.id, b.project_id, b.owner
FROM accounts_account AS a
LEFT JOIN accounts_bot AS b ON b.account_id = a.id AND b.archived_at IS NULL
 AND (b.id = %s OR b.external_id = %s) WHERE a.id = %s"""


@dataclass(frozen=True, slots=True)
class Times:
    """How long an upstream may take, in seconds."""

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 30.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class Route:
    """One way to serve a call: an upstream, and its own name for the model.

    Without a `target` the built-in echo serves it.
    """

    model: str
    target: Target | None = None
    base_url: str = ""
    secret: str = field(default="", repr=False)
    times: Times = Times()
    heads: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def head(self, path: str) -> bytes:
        """Return a request's head, up to the number of its body's bytes."""
        found = self.heads.get(path)
        if found is None:
            found = self.heads[path] = _head(self.base_url + path, self.secret)
        return found


def _head(url: str, secret: str) -> bytes:
    """Write a head; what goes into it was checked when the upstream was saved."""
    _, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    lines = [
        f"POST {slash}{path} HTTP/1.1",
        f"host: {host}",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "accept-encoding: identity",
        "user-agent: PolicyHub",
    ]
    if secret:
        lines.append(f"authorization: Bearer {secret}")
    return "\r\n".join([*lines, "content-length: "]).encode("ascii")


@dataclass(frozen=True, slots=True)
class _Upstream:
    project_id: UUID | None
    base_url: str
    sealed: str = field(repr=False)
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    times: Times = Times()

    @property
    def is_open(self) -> bool:
        """Whether it serves every model under its own name."""
        return not any(self.models.values())

    def model(self, kind: str, name: str) -> str | None:
        return name if self.is_open else self.models[kind].get(name)


@dataclass(frozen=True, slots=True)
class BotFacts:
    """What content policies have to know of a bot."""

    public_id: str
    project: str | None
    owner: str | None


@dataclass(slots=True)
class AccountRoutes:
    """An account's upstreams, default bots and content policies at one version."""

    account_id: UUID
    version: int
    plan: str
    upstreams: list[_Upstream]
    default_bots: dict[str, str]
    content: list[dict[str, Any]]
    echoes: bool
    bots: dict[str, BotFacts | None] = field(default_factory=dict)
    compiled: dict[Any, Any] = field(default_factory=dict)
    # Addresses are checked and secrets opened once a version.
    ways: dict[tuple[UUID | None, str, str], list[Route]] = field(default_factory=dict)

    def of_project(self, project_id: UUID | None) -> list[_Upstream]:
        """Return a project's upstreams, else those that all projects share."""
        own = [u for u in self.upstreams if u.project_id == project_id]
        if own or project_id is None:
            return own
        return [u for u in self.upstreams if u.project_id is None]

    def default_bot(self, project_id: UUID | None) -> str | None:
        """Return the id of the bot that calls without one are made for."""
        return self.default_bots.get(default_name(project_id))

    def routes(self, project_id: UUID | None, kind: str, model: str) -> list[Route]:
        """Return the ways to serve a model, the first to be tried first.

        None of them: another part of the account has the model, so this key may not
        use it. Raises Refusal for a model that is not there at all.
        """
        if self._is_echoed():
            if echo.serves(kind, model):
                return [Route(model)]
            raise unknown_model(model)
        asked = (project_id, kind, model)
        known = self.ways.get(asked)
        if known is not None:
            return known
        mine = self.of_project(project_id)
        found = [(u, name) for u in mine if (name := u.model(kind, model)) is not None]
        if found:
            if len(self.ways) >= _WAYS_KEPT:
                self.ways.clear()
            self.ways[asked] = _usable(found)
            return self.ways[asked]
        if any(u.models[kind].get(model) is not None for u in self.upstreams):
            return []
        raise unknown_model(model)

    def model_names(self, project_id: UUID | None) -> list[str]:
        """Return the models that a key may use, those for chats first."""
        if self._is_echoed():
            return [*echo.CHAT_MODELS, *echo.EMBEDDING_MODELS]
        names: dict[str, None] = {}
        for kind in (protocol.CHAT, protocol.EMBEDDING):
            for upstream in self.of_project(project_id):
                names.update(dict.fromkeys(upstream.models[kind]))
        return list(names)

    def _is_echoed(self) -> bool:
        return self.echoes and not self.upstreams


def default_name(project_id: UUID | None) -> str:
    """Return the external id of a project's or the account's default bot."""
    if project_id is None:
        return _DEFAULT
    return f"{_DEFAULT}:{ids.encode_id('prj', project_id)}"


def unknown_model(model: str) -> Refusal:
    """Return the refusal of a model that nobody serves."""
    return Refusal(
        404,
        f"The model '{model}' does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )


def _usable(found: list[tuple[_Upstream, str]]) -> list[Route]:
    """Return the routes over upstreams whose address and secret are good.

    Raises Refusal if there is none.
    """
    routes = []
    for upstream, model in found:
        try:
            target = check_url(upstream.base_url)
            secret = unseal(upstream.sealed)
        except (UnsafeUrl, UnreadableSecret):
            continue
        base = target.url.rstrip("/")
        routes.append(Route(model, target, base, secret, upstream.times))
    if not routes:
        raise unusable_upstream()
    return routes


def unusable_upstream() -> Refusal:
    """Return the refusal when the upstream's address or secret cannot be used."""
    return Refusal(
        502,
        "The upstream cannot be called; ask whoever runs this installation.",
        kind="api_error",
        code="upstream_unusable",
        retry=False,
    )


class RouteBook:
    """The routes of the accounts that this process has met."""

    def __init__(self, *, conninfo: str, echoes: bool) -> None:
        self._lookups = Lookups(conninfo)
        self._echoes = echoes
        self._known: dict[UUID, AccountRoutes] = {}
        self._asked: dict[UUID, float] = {}

    async def of(self, account_id: UUID) -> AccountRoutes:
        """Return what is remembered of an account, else read it. Raises Unavailable."""
        return self._known.get(account_id) or await self.renew(account_id)

    async def renew(self, account_id: UUID) -> AccountRoutes:
        """Read an account anew. Raises Unavailable."""
        rows = await self._lookups.rows(_READ, (account_id,))
        if not rows:
            raise Unavailable(retry_after=1)
        version, plan, upstreams, bots, content = rows[0]
        routes = AccountRoutes(
            account_id=account_id,
            version=version,
            plan=plan,
            upstreams=_read_upstreams(msgspec.json.decode(upstreams)),
            default_bots=_public_ids(msgspec.json.decode(bots)),
            content=msgspec.json.decode(content),
            echoes=self._echoes,
        )
        if len(self._known) >= _ACCOUNTS_KEPT:
            self._known.clear()
        self._known[account_id] = routes
        return routes

    async def renewed(self, account_id: UUID, now: float) -> AccountRoutes:
        """Read an account anew, but not again within a second. Raises Unavailable."""
        if now - self._asked.get(account_id, -_SECOND) < _SECOND:
            return await self.of(account_id)
        if len(self._asked) >= _ACCOUNTS_KEPT:
            self._asked.clear()
        self._asked[account_id] = now
        return await self.renew(account_id)

    async def bot(self, routes: AccountRoutes, name: str) -> BotFacts | None:
        """Return a bot by its id or external id, as of the routes' version or later.

        Raises Unavailable.
        """
        if name in routes.bots:
            return routes.bots[name]
        try:
            bot_id = ids.decode_id("bot", name)
        except ids.InvalidId:
            bot_id = None
        rows = await self._lookups.rows(_BOT, (bot_id, name, routes.account_id))
        found = [row for row in rows if row[1] is not None]
        facts = _facts(found[0]) if found else None
        if rows and rows[0][0] == routes.version and len(routes.bots) < _BOTS_KEPT:
            routes.bots[name] = facts
        return facts

    async def close(self) -> None:
        """Close the connection."""
        await self._lookups.close()


def _facts(row: Any) -> BotFacts:
    _, bot_id, project_id, owner = row
    project = ids.encode_id("prj", project_id) if project_id else None
    return BotFacts(ids.encode_id("bot", bot_id), project, owner)


def _public_ids(bots: dict[str, str]) -> dict[str, str]:
    return {name: ids.encode_id("bot", UUID(bot)) for name, bot in bots.items()}


def _read_upstreams(rows: Iterable[dict[str, Any]]) -> list[_Upstream]:
    return [
        _Upstream(
            project_id=UUID(row["project_id"]) if row["project_id"] else None,
            base_url=row["base_url"],
            sealed=row["secret"],
            models={
                protocol.CHAT: row["chat_models"],
                protocol.EMBEDDING: row["embedding_models"],
            },
            times=Times(
                float(row["connect_seconds"]),
                float(row["first_byte_seconds"]),
                float(row["idle_seconds"]),
                float(row["total_seconds"]),
            ),
        )
        for row in rows
    ]
