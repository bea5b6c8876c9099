"""Somebody who edits all the while: `python -m tests.faults.editor CONFIG`.

Policies get other thresholds, are switched off and on, go into shadow, are archived and
written anew; bots are blocked and revoked and let go again; counters are reset, blocks
cleared, keys rotated and revoked. All of it over HTTP. Every acknowledged edit is a
line, `V what target [revision]`; one without an answer may have happened or not.
"""

import json
import random
import sys
import time
from pathlib import Path

from tests.faults.wire import Lost, Wire

_ACTS = {
    "threshold": 30,
    "switch": 12,
    "shadow": 6,
    "anew": 8,
    "block": 14,
    "revoke": 10,
    "reset": 8,
    "clear": 8,
    "rotate": 4,
}


_CALMER = 5


class Editor:
    """One thread of edits, until the time is over; then everybody is let go."""

    def __init__(self, config: dict) -> None:
        self.config = config
        self.folder = Path(config["folder"])
        self.chance = random.Random(f"{config['seed']}/{config['slice']}/editor")
        self.wires = {port: Wire(config["admin_key"]) for port in config["ports"]}
        self.policies = {each["id"]: each for each in config["policies"]}
        self.keys = json.loads((self.folder / "keys.json").read_text())
        self.undo: list[tuple[float, object, tuple]] = []
        self.told = {"edits": 0, "unheard": 0}
        self.log = (self.folder / "acks-editor.tsv").open("ab")

    def run(self) -> None:
        least, most = self.config["edit_every"]
        while time.time() < self.config["until"]:
            self.take_back(time.time())
            act = self.chance.choices([*_ACTS], [*_ACTS.values()])[0]
            getattr(self, act)()
            self.log.flush()
            pause = self.chance.uniform(least, most)
            time.sleep(pause if self.is_stormy() else pause * _CALMER)
        while self.undo and time.time() < self.config["give_up"]:
            self.take_back(time.time() + 60)
        self.log.close()

    def is_stormy(self) -> bool:
        """Whether somebody kills now; in between there are fewer edits too."""
        storm = self.config["stormy"]
        since = time.time() - self.config["began"]
        return since % (storm + self.config["calm"]) < storm

    def take_back(self, until: float) -> None:
        due = [entry for entry in self.undo if entry[0] <= until]
        self.undo = [entry for entry in self.undo if entry[0] > until]
        for _, act, told in due:
            if act(*told) is None and time.time() < self.config["give_up"]:
                # It was lost on the way: again, and again.
                self.undo.append((time.time() + 0.3, act, told))

    def soon(self, act, *told) -> None:
        wait = self.chance.uniform(0.5, 3)
        self.undo.append((time.time() + wait, act, told))

    # --- the edits --------------------------------------------------------------

    def a_policy(self) -> str:
        return self.chance.choice([*self.policies])

    def threshold(self) -> None:
        name = self.a_policy()
        limits = [
            limit
            | {"threshold": int(limit["threshold"] * self.chance.uniform(0.3, 1.5)) + 1}
            for limit in self.policies[name]["limits"]
        ]
        self.patch(name, {"limits": [written(limit) for limit in limits]})

    def switch(self) -> None:
        name = self.a_policy()
        self.patch(name, {"rollout_mode": "off"})
        self.soon(self.patch, name, {"rollout_mode": "enforce"})

    def shadow(self) -> None:
        name = self.a_policy()
        self.patch(name, {"rollout_mode": "shadow"})
        self.soon(self.patch, name, {"rollout_mode": "enforce"})

    def anew(self) -> None:
        """Archive one and write another like it: it counts from its creation."""
        name = self.a_policy()
        if self.call("DELETE", f"policies/{name}", If_Match="*") is None:
            return
        self.say("policy.archived", name)
        document = self.policies.pop(name)
        limits = [written(limit) for limit in document["limits"]]
        body = {key: value for key, value in document.items() if key != "id"}
        made = self.call("POST", "policies", body | {"limits": limits})
        if made is not None:
            self.say("policy", made["id"], made["revision"])
            self.policies[made["id"]] = document | {"id": made["id"]}

    def block(self) -> None:
        bot = self.chance.choice(self.config["bots"])
        self.soon(self.act_on, bot, "unblock")
        self.act_on(bot, "block")

    def revoke(self) -> None:
        bot = self.chance.choice(self.config["bots"])
        self.soon(self.act_on, bot, "restore")
        self.act_on(bot, "revoke")

    def act_on(self, bot: str, verb: str) -> dict | None:
        made = self.call("POST", f"bots/{bot}/{verb}", {"reason": "storm"})
        if made is not None and verb in ("block", "revoke"):
            self.say(f"bot.{verb}ed" if verb == "block" else "bot.revoked", bot)
        return made

    def reset(self) -> None:
        name = self.a_policy()
        if self.call("POST", f"policies/{name}/reset", {"period": "all"}):
            self.say("policy.reset", name)

    def clear(self) -> None:
        """Clear whatever a policy of those that block has blocked; free its bots."""
        for name, policy in [*self.policies.items()]:
            if not policy["actions"].keys() & {"block", "revoke"}:
                continue
            found = self.call("GET", f"policies/{name}/blocks")
            for block in (found or {}).get("data", ()):
                if not block["live"]:
                    continue
                if block["kind"] == "policy":
                    self.call("POST", f"policies/{name}/blocks/{block['id']}/clear", {})
                elif block["kind"] == "revoke" and block.get("bot"):
                    self.act_on(block["bot"], "restore")
                    self.call("POST", f"policies/{name}/reset", {"period": "all"})

    def rotate(self) -> None:
        """Give one of the clients' keys a successor; sometimes stop it at once."""
        place = self.chance.randrange(len(self.keys))
        old = self.keys[place]
        body = {"overlap_seconds": self.chance.choice([0, 1, 2])}
        new = self.call("POST", f"keys/{old['id']}/rotate", body)
        if new:
            self.say("key.rotated", old["id"])
        else:
            body = {"name": "storm", "scopes": old["scopes"]}
            new = self.call("POST", "keys", body)
            if not new:
                return
            self.say("key.created", new["id"])
        kept = {name: new[name] for name in ("id", "key", "scopes")}
        self.keys[place] = kept
        fresh = self.folder / "keys.new"
        fresh.write_text(json.dumps(self.keys))
        fresh.rename(self.folder / "keys.json")
        if self.call("POST", f"keys/{old['id']}/revoke", {}) is not None:
            self.say("key.revoked", old["id"])

    # --- how --------------------------------------------------------------------

    def patch(self, name: str, patch: dict) -> dict | None:
        if name not in self.policies:
            return {}
        made = self.call("PATCH", f"policies/{name}", patch, If_Match="*")
        # Empty if another edit came first, or the policy is gone.
        if made:
            self.say("policy", name, made["revision"])
        return made

    def call(self, method: str, path: str, body=None, **headers) -> dict | None:
        """Ask once; None if it was not heard or not done."""
        port = self.chance.choice(self.config["ports"])
        try:
            status, answer = self.wires[port].call(
                port, method, f"/api/v1/{path}", body, **headers
            )
        except Lost:
            self.told["unheard"] += 1
            time.sleep(0.1)
            return None
        if status < 400:
            return answer or {}
        if status in (404, 409, 412):
            # It is gone, or done already: nothing is left to be done.
            return {} if method != "POST" or status == 409 else None
        if status < 500:
            said = ["X", status, f"{method} {path}", json.dumps(answer)]
            self.log.write(("\t".join(map(str, said)) + "\n").encode())
        self.told["unheard"] += 1
        return None

    def say(self, what: str, target: str, *details: object) -> None:
        self.told["edits"] += 1
        said = ("V", what, target, *details)
        self.log.write(("\t".join(map(str, said)) + "\n").encode())


def written(limit: dict) -> dict:
    """A cost threshold is written in USD; the storm counts in micro-USD."""
    if limit["metric"] != "cost":
        return limit
    return limit | {"threshold": f"{limit['threshold'] / 1_000_000:.6f}"}


def main() -> None:
    editor = Editor(json.loads(Path(sys.argv[1]).read_text()))
    editor.run()
    sys.stdout.write(json.dumps(editor.told))


if __name__ == "__main__":
    main()
