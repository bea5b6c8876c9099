"""What stood at a moment of the replay: rules, bots, keys, blocks, by the journal."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_REFUSING = {"throttle", "block", "revoke"}
# No clock of the storm is this far behind another.
_OVER = timedelta(seconds=60)


def row_id(public_id: str) -> UUID:
    """Read a public id: base32 of 128 bits behind the underscore."""
    number = 0
    for letter in public_id.partition("_")[2]:
        number = number << 5 | _ALPHABET.index(letter)
    return UUID(int=number)


def public_id(prefix: str, row: UUID) -> str:
    """Write a public id."""
    letters, number = [], row.int
    for _ in range(26):
        letters.append(_ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(letters))}"


@dataclass
class Rule:
    """One policy as its last edit left it."""

    name: str
    scope: dict[str, str]
    group_by: list[str]
    windows: dict[str, dict]
    thresholds: dict[str, int]
    live: bool
    refuses: bool
    steps: list[int]


def rule_of(said: dict, divided_by: int = 1) -> Rule:
    """Read a policy's row."""
    document = said["document"]
    limits = document["limits"]
    return Rule(
        document["name"],
        {name: value for name, value in document["scope"].items() if value},
        document["group_by"],
        {limit["metric"]: limit["window"] for limit in limits},
        {limit["metric"]: _whole(limit) // divided_by for limit in limits},
        said["archived_at"] is None and document["rollout_mode"] != "off",
        document["rollout_mode"] == "enforce"
        and bool(document["actions"].keys() & _REFUSING),
        sorted({*document["alert_steps"], 100}),
    )


def _whole(limit: dict) -> int:
    """A threshold as it is counted: a cost is written in USD, and counted in µUSD."""
    if limit["metric"] == "cost":
        return int(Decimal(str(limit["threshold"])) * 1_000_000)
    return int(limit["threshold"])


@dataclass
class Block:
    """One block as its last change left it."""

    kind: str
    policy: UUID | None
    bot: UUID | None
    subject: str
    enforced: bool
    ends_at: datetime | None
    lifted: bool


@dataclass
class Standing:
    """Everything that is edited, as it stands."""

    divided_by: int = 1
    rules: dict[UUID, Rule] = field(default_factory=dict)
    bots: dict[UUID, str] = field(default_factory=dict)
    states: dict[UUID, str] = field(default_factory=dict)
    keys: dict[str, tuple[bool, datetime | None]] = field(default_factory=dict)
    blocks: dict[UUID, Block] = field(default_factory=dict)
    _known: dict[tuple, list] = field(default_factory=dict)

    def take(self, what: str, said: dict) -> UUID | None:
        """Take a line of the journal in; return the policy if its rule is another."""
        key = UUID(said["id"])
        if what == "policies_policy":
            if key not in self.rules:
                self._known.clear()
            self.rules[key] = rule_of(said, self.divided_by)
            return key
        if what == "accounts_bot":
            self.states[key] = said["state"]
            self.bots[key] = public_id("bot", key)
        elif what == "accounts_apikey":
            gone = said["revoked_at"] is not None
            self.keys[public_id("key", key)] = (gone, _moment(said["expires_at"]))
        else:
            self._block(key, said)
        return None

    def _block(self, key: UUID, said: dict) -> None:
        self.blocks[key] = Block(
            said["kind"],
            UUID(said["policy_id"]) if said["policy_id"] else None,
            UUID(said["bot_id"]) if said["bot_id"] else None,
            json.dumps(said["subject"]),
            said["enforced"],
            _moment(said["ends_at"]),
            said["lifted_at"] is not None,
        )
        if self.blocks[key].lifted:
            del self.blocks[key]

    def applying(self, bot: UUID, user: str | None, model: str | None) -> list:
        """The policies that a call falls under, live or not, with its subject."""
        known = self._known.get((bot, user, model))
        if known is None:
            who = {"bot": self.bots[bot], "user": user, "model": model}
            known = self._known[bot, user, model] = [
                (key, json.dumps([[name, who[name]] for name in rule.group_by]))
                for key, rule in self.rules.items()
                if all(_fits(name, at, who[name]) for name, at in rule.scope.items())
            ]
        return known

    def forbids(self, said: tuple, bot: UUID, now: datetime) -> str:
        """Say why a call may not pass at all; empty if nothing stands against it."""
        user, model, key = said
        if self.states[bot] != "active":
            return f"its bot is {self.states[bot]}"
        revoked, expires = self.keys.get(key, (False, None))
        if revoked or (expires is not None and expires <= now):
            return f"{key} is revoked or expired"
        for block_id, block in list(self.blocks.items()):
            if block.ends_at is not None and block.ends_at <= now:
                if block.ends_at < now - _OVER:
                    del self.blocks[block_id]
                continue
            if self._binds(block, bot, user, model):
                return f"block {block_id} stands"
        return ""

    def _binds(
        self, block: Block, bot: UUID, user: str | None, model: str | None
    ) -> bool:
        if block.kind != "policy":
            return block.bot == bot and block.enforced
        rule = self.rules[block.policy]
        if not (block.enforced and rule.live and rule.refuses):
            return False
        return (block.policy, block.subject) in self.applying(bot, user, model)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _fits(name: str, wanted: str, value: str | None) -> bool:
    if name == "model" and wanted.endswith("*"):
        return value is not None and value.startswith(wanted[:-1])
    return value == wanted
