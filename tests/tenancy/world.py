"""Two accounts that are the same but for their names, and everyone who might look.

Every text in an account holds its canary. In each account there are two projects,
`here` and `there`, with a row of each kind in both.
"""

import copy
import json
from dataclasses import dataclass, field

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone

from accounts import ids
from accounts.actors import SYSTEM
from accounts.models import Member, Person, Project
from accounts.services import add_member, create_account
from accounts.services.invitations import invite
from alerts.models import Alert, Delivery
from policies.models import Block, Policy
from retention.models import PruneRun
from tests.api.client import Api, key_api, person_api
from tests.tenancy.entries import CHATBOTKIT, UPSTREAM
from usage import ledger
from usage.entries import CallIn, EventIn

PRICE = {"total_per_million": "1"}
LETTERS = {"p": "operator", "a": "auditor", "v": "viewer"}
# Path parameters that name no row.
PLAIN = {"kind": "usage", "number": "1", "model": "echo", "form": "csv"}


@dataclass
class Corner:
    """One project of an account: the ids of its rows by the paths' parameters."""

    ids: dict = field(default_factory=dict)
    key: Api | None = None


class World:
    """An account with all that an account can have."""

    def __init__(self, slug):
        now = timezone.now()
        self.slug, self.canary = slug, f"canary{slug}"
        self.account = create_account(
            slug=slug,
            owner_email=f"{self.canary}-o@x.org",
            name=f"{self.canary} Ltd",
            now=now,
        )
        self.people = {"o": Person.objects.get(email=f"{self.canary}-o@x.org")}
        for letter, role in LETTERS.items():
            person = Person.objects.create_user(f"{self.canary}-{letter}@x.org")
            self.people[letter] = person
            add_member(
                account=self.account,
                person=person,
                role=Member.Role(role),
                actor=SYSTEM,
                now=now,
            )
        self.apis = {k: person_api(person) for k, person in self.people.items()}
        self.apis["k"] = key_api(self.account)
        self.price = self._made("k", "/prices", {"model": self.canary, **PRICE})
        hook = {"url": f"https://{self.canary}.example.com/"}
        self.webhook = self._made("k", "/webhooks", hook)
        self.delivery = self._made("k", f"/webhooks/{self.webhook}/test", {})
        member = Member.objects.get(account=self.account, person=self.people["v"])
        asked = invite(
            account=self.account,
            email=f"{self.canary}-i@x.org",
            role="viewer",
            actor=SYSTEM,
            now=now,
        )
        self.people_ids = {
            "member_id": member.public_id,
            "invitation_id": asked.public_id,
        }
        self.here, self.there = self._corner("here"), self._corner("there")
        self.apis["j"] = self.here.key

    def _made(self, who, path, body):
        api = who if isinstance(who, Api) else self.apis[who]
        answer = api.post(path, body)
        assert answer.status_code in (200, 201, 202), (path, answer.content)
        return answer.json()["id"]

    def _corner(self, tag):
        name = f"{self.canary}-{tag}"
        ids_ = {"slug": self.slug, "price_id": self.price, "user": f"user-{name}"}
        ids_ |= self.people_ids
        ids_ |= {"webhook_id": self.webhook, "webhook_delivery_id": self.delivery}
        project = {"name": name, "external_id": name, "description": name}
        ids_["project_id"] = self._made("k", "/projects", project)
        row = Project.objects.get(external_id=name)
        api = key_api(self.account, project=row)
        bot = {"name": name, "external_id": name, "description": name, "owner": name}
        ids_["bot_id"] = self._made(api, "/bots", bot | {"project": name})
        key = {"name": name, "scopes": ["decide"], "bot": name}
        ids_["key_id"] = self._made(api, "/keys", key)
        cap = {"metric": "tokens", "threshold": 10, "window": {"kind": "lifetime"}}
        policy = {
            "type": "usage",
            "name": name,
            "description": name,
            "scope": {"bot": ids_["bot_id"]},
            "limits": [cap],
            "actions": {"block": {}, "email": {}},
        }
        ids_["policy_id"] = self._made(api, "/policies", policy)
        chatbotkit = filled(CHATBOTKIT, ids_) | {"name": f"{name}-2"}
        ids_["chatbotkit_id"] = self._made(api, "/policy/create", chatbotkit)
        talk = {"bot": name, "user": name, "external_id": name, "title": name}
        ids_["conversation_id"] = self._made(api, "/conversations", talk)
        at = f"/conversations/{ids_['conversation_id']}/messages"
        ids_["message_id"] = self._made(api, at, {"role": "user", "text": name})
        self._retain(ids_, name, api)
        upstream = UPSTREAM | {"name": name, "project": name}
        ids_["upstream_id"] = self._made("k", "/upstreams", upstream)
        self._use(ids_, name)
        return Corner(ids_, api)

    def _retain(self, ids_, name, api):
        """A rule for what is old, a run of it that waits, and a hold against it."""
        rule = {"target": "conversations", "max_age_days": 30}
        keep = {"type": "retention", "name": f"{name}-3", "retention": rule}
        ids_["retention_policy_id"] = self._made(api, "/policies", keep)
        policy = Policy.objects.get(account=self.account, name=f"{name}-3")
        now = timezone.now()
        run = PruneRun.objects.create(
            account=self.account,
            policy=policy,
            policy_revision=1,
            target="conversations",
            cutoff=now,
            state=PruneRun.State.WAITING,
            waiting_for=PruneRun.Waiting.SHARE,
            due=1,
            total=1,
            started_at=now,
        )
        ids_["run_id"] = run.public_id
        hold = {"user": f"user-{name}", "reason": name}
        ids_["hold_id"] = self._made("k", "/retention/holds", hold)

    def _use(self, ids_, name):
        """Hold, cross the cap, and remember what came of it."""
        now = timezone.now()
        call = CallIn(bot=ids_["bot_id"], user=name, estimate={"tokens": 1})
        call.reserve = True
        body = ledger.authorize(account=self.account, call=call, now=now).body
        ids_["decision_id"], ids_["id"] = body["id"], body["reservation"]["id"]
        event = EventIn(bot=ids_["bot_id"], user=name, model=name, tokens=99)
        event.conversation = name
        ledger.record_events(account=self.account, events=[event], now=now)
        block = Block.objects.get(account=self.account, policy__name=name)
        ids_["block_id"] = block.public_id
        alert = Alert.objects.get(account=self.account, policy_name=name, step=100)
        ids_["alert_id"] = alert.public_id
        delivery = Delivery.objects.filter(alert=alert).first()
        ids_["delivery_id"] = delivery.public_id

    @property
    def secrets(self):
        """Every text that no stranger may see."""
        found = {self.canary}
        for corner in (self.here, self.there):
            found |= {v for k, v in corner.ids.items() if k not in ("slug", "user")}
        return found


def absent(ids_, *names):
    """The same ids, with some of them leading nowhere."""
    changed = dict(ids_)
    for name in names or ids_:
        value = ids_[name]
        if name == "slug":
            changed[name] = "nobody"
        elif value[3:4] == "_":
            changed[name] = ids.encode_id(value[:3], ids.new_id(timezone.now()))
        elif name == "user":
            changed[name] = "nobody"
    return changed


def filled(value, ids_):
    """Put ids in place of `@name` in a body or a query."""
    text = json.dumps(copy.deepcopy(value))
    for name in sorted(ids_, key=len, reverse=True):
        text = text.replace(f"@{name}", ids_[name])
    return json.loads(text)


def undone(act):
    """Do something and undo it: the rows are the same for the next one."""
    with transaction.atomic():
        answer = act()
        if answer.streaming:
            whole = b"".join(answer.streaming_content)
            read = HttpResponse(whole, status=answer.status_code)
            read.headers = answer.headers
            answer = read
        transaction.set_rollback(True)
    return answer
