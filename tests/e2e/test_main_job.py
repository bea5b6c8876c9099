"""The main job on real parts: cross a budget, be told, be stopped, be let go.

One installation lives through one story: an integrator over HTTP, an operator in a
browser, and somebody who kills what runs.
"""

import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.e2e.installation import Installation, until

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.timeout(1200),
]

CAP = "Cap of the story"
SECOND_CAP = "Cap before the kill"
COUNTING = "Counts what was acknowledged"


def noon_zone() -> str:
    """A time zone in which it is about noon: the day will not end in this story."""
    ahead = datetime.now(UTC).hour - 12
    return f"Etc/GMT{ahead:+d}" if ahead else "UTC"


def usage_policy(name: str, bot: str | None, threshold: int, **actions) -> dict:
    day = {"kind": "calendar", "unit": "day", "timezone": noon_zone()}
    return {
        "type": "usage",
        "name": name,
        "scope": {"bot": bot} if bot else {},
        "limits": [{"metric": "tokens", "threshold": threshold, "window": day}],
        "actions": actions,
    }


def made(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def register(api: httpx.Client, name: str) -> str:
    return made(api.post("bots", json={"name": name, "external_id": name}))


def record(api: httpx.Client, bot: str, tokens: int) -> None:
    answer = api.post("usage", json={"bot": bot, "tokens": tokens})
    assert answer.status_code == 202, answer.text
    assert answer.json()["data"][0]["status"] == "recorded"


def ask(api: httpx.Client, bot: str, tokens: int) -> httpx.Response:
    answer = api.post("authorize", json={"bot": bot, "estimate": {"tokens": tokens}})
    assert answer.status_code == 200, answer.text
    return answer


def test_the_main_job(installation, api, sink, page):
    bot = register(api, "story-bot")
    old, young = import_conversations(api, bot)
    policy = cross_the_cap(api, bot)
    see_it_blocked(installation, page, bot)
    look_through_the_admin(installation, page)
    clear_the_block(api, policy, bot)
    see_old_conversations_go(api, bot, old, young)
    # The breach went on, and minutes have passed: one e-mail all the same.
    assert len(sink.about(CAP)) == 1
    assert installation.login()[0] in str(sink.about(CAP)[0]["To"])
    survive_a_killed_database(installation, api)
    survive_a_killed_worker(installation, api, sink)
    see_the_seed_complete(installation)
    assert len(sink.about(CAP)) == 1
    # The demo's past wrote to nobody.
    assert len(sink.mails) == len(sink.about(CAP)) + len(sink.about(SECOND_CAP))
    code, seconds = installation.interrupt()
    assert code == 0, installation.log[-2000:]
    # Five is what the parts are given; the rest is for a slow machine.
    assert seconds <= 9


def import_conversations(api: httpx.Client, bot: str) -> tuple[set[str], set[str]]:
    """Import 2 old and 18 young conversations, and a policy of 30 days for them."""
    now = datetime.now(UTC)
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for age in [45, 31, *([29.9, 1, 0] * 6)]:
        moment = (now - timedelta(days=age)).isoformat()
        body = {"bot": bot, "started_at": moment, "last_activity_at": moment}
        found[age > 30].add(made(api.post("conversations", json=body)))
    retention = {"target": "conversations", "max_age_days": 30}
    document = {"type": "retention", "name": "Keep 30 days", "scope": {"bot": bot}}
    made(api.post("policies", json=document | {"retention": retention}))
    return found[True], found[False]


def cross_the_cap(api: httpx.Client, bot: str) -> str:
    """Write two policies, spend the bot's, go on, and be refused."""
    block = {"duration_seconds": 3600}
    capped = usage_policy(CAP, bot, 1000, block=block, email={})
    policy = made(api.post("policies", json=capped))
    everybody = usage_policy("Everybody, story", None, 10**9, warn={})
    shared = made(api.post("policies", json=everybody))
    before = ask(api, bot, 100)
    assert before.json()["allowed"] is True
    assert "Retry-After" not in before.headers
    told = {row["policy_id"] for row in before.json()["policies"]}
    assert told == {policy, shared}
    record(api, bot, 999)
    # 1 token is left: exactly that passes, 2 do not, and nothing is blocked yet.
    assert ask(api, bot, 1).json()["allowed"] is True
    over = ask(api, bot, 2).json()
    assert (over["allowed"], over["reason_code"]) == (False, "limit_exceeded")
    record(api, bot, 500)
    for _ in range(5):
        refused = ask(api, bot, 1)
        decision = refused.json()
        assert (decision["allowed"], decision["reason_code"]) == (False, "blocked")
        assert decision["policy_id"] == policy
        assert decision["retry_after"] >= 3600
        assert int(refused.headers["Retry-After"]) == decision["retry_after"]
        record(api, bot, 50)
    return policy


def see_it_blocked(installation: Installation, page, bot: str) -> None:
    """Find the bot paused in the dashboard and blocked in the admin."""
    page.goto(f"{installation.url}/app/demo/bots/{bot}/")
    assert page.locator("h1").inner_text() == "story-bot"
    assert "Paused" in page.locator("main").inner_text()
    assert CAP in page.locator("main").inner_text()
    page.goto(f"{installation.url}/admin/accounts/bot/?q=story-bot")
    row = page.locator("#result_list tbody tr", has_text="story-bot").inner_text()
    assert "blocked until" in row
    page.goto(f"{installation.url}/admin/policies/block/?q={CAP.replace(' ', '+')}")
    assert CAP in page.locator("#result_list").inner_text()
    assert page.complaints == []


def look_through_the_admin(installation: Installation, page) -> None:
    """Open every list, a row of it, and a confirmation, under the strict policy."""
    page.goto(f"{installation.url}/admin/")
    lists = page.eval_on_selector_all(
        "#content-main th a", "links => links.map(link => link.href)"
    )
    assert len(lists) > 25
    for address in lists:
        page.goto(address)
        row = page.locator("#result_list tbody a").first
        if row.count():
            row.click()
            page.wait_for_load_state()
    page.goto(f"{installation.url}/admin/accounts/bot/?q=story-bot")
    page.check("#result_list input.action-select")
    page.select_option("select[name=action]", "revoke")
    page.click("button[name=index]")
    assert "are revoked" in page.locator("#content").inner_text()
    assert page.complaints == []


def clear_the_block(api: httpx.Client, policy: str, bot: str) -> None:
    """Clear the block, and be allowed again."""
    blocks = api.get(f"policies/{policy}/blocks").json()["data"]
    (block,) = [each["id"] for each in blocks]
    cleared = api.post(f"policies/{policy}/blocks/{block}/clear", json={})
    assert cleared.status_code == 200, cleared.text
    assert ask(api, bot, 1000).json()["allowed"] is True
    assert ask(api, bot, 1001).json()["allowed"] is False


def see_old_conversations_go(
    api: httpx.Client, bot: str, old: set[str], young: set[str]
) -> None:
    """Wait for the clock's task to prune what is over its age, and nothing else."""

    def listed() -> set[str]:
        answer = api.get("conversations", params={"bot": bot, "limit": 200})
        assert answer.status_code == 200, answer.text
        return {row["id"] for row in answer.json()["data"]}

    until(lambda: not (listed() & old), 300, "old conversations pruned")
    assert listed() == young


def survive_a_killed_database(installation: Installation, api: httpx.Client) -> None:
    """Kill the database while events are recorded: what was acknowledged stays."""
    bot = register(api, "counted-bot")
    policy = made(
        api.post("policies", json=usage_policy(COUNTING, bot, 10**9, warn={}))
    )
    sent: list[str] = []
    acknowledged: list[str] = []
    enough = threading.Event()

    def keep_recording() -> None:
        for name in iter(lambda: secrets.token_hex(8), None):
            sent.append(name)
            try:
                answer = api.post("usage", json=event(bot, name))
            except httpx.TransportError:
                return
            if answer.status_code != 202:
                return
            acknowledged.append(name)
            if len(acknowledged) == 50:
                enough.set()

    threads = [threading.Thread(target=keep_recording) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    installation.kill_part("postgres -D")
    assert installation.died() != 0
    for thread in threads:
        thread.join(30)
    assert "postgres" in installation.log[-4000:]
    installation.start()
    for name in acknowledged:
        again = api.post("usage", json=event(bot, name)).json()["data"][0]
        assert again["status"] == "duplicate", name
    # Sent once more, what was lost on the way counts too, and everything counts once.
    for part in in_parts(sent):
        bodies = {"events": [event(bot, name) for name in part]}
        assert api.post("usage", json=bodies).status_code == 202
    (reading,) = api.get(f"policies/{policy}/usage").json()["data"]
    assert reading["used"] == 7 * len(sent)


def event(bot: str, name: str) -> dict:
    return {"bot": bot, "id": name, "tokens": 7}


def in_parts(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), 500):
        yield names[start : start + 500]


def survive_a_killed_worker(
    installation: Installation, api: httpx.Client, sink
) -> None:
    """Kill the worker as soon as a crossing was acknowledged: its e-mail still goes."""
    bot = register(api, "second-bot")
    capped = usage_policy(SECOND_CAP, bot, 10, email={})
    made(api.post("policies", json=capped))
    record(api, bot, 10)
    installation.kill_part("celery")
    assert installation.died() != 0
    assert "worker" in installation.log[-4000:]
    installation.start()
    # What the dead had claimed is claimed again after a minute, by the next sweep.
    until(lambda: sink.about(SECOND_CAP), 200, "the e-mail of before the kill")
    ids = {str(mail["Message-ID"]) for mail in sink.about(SECOND_CAP)}
    assert len(ids) == 1


def see_the_seed_complete(installation: Installation) -> None:
    """The demo was interrupted twice; it completes, and nothing is there twice."""
    until(
        lambda: count(installation, "ChangeRecord", action="demo.completed"),
        400,
        "the demo's history",
    )
    assert count(installation, "ChangeRecord", action="demo.completed") == 1
    assert count(installation, "ChangeRecord", action="demo.started") == 1
    events = count(installation, "UsageEvent", source="demo")
    assert events > 5_000
    printed = installation.command(
        "shell",
        "--no-imports",
        "-c",
        "from usage.models import UsageEvent as E; "
        "print(E.objects.filter(source='demo')"
        ".values('account', 'client_id').distinct().count())",
    )
    assert int(printed) == events


def count(installation: Installation, model: str, **wanted: str) -> int:
    """Count rows, by a command beside the running installation."""
    code = (
        "from django.apps import apps; "
        f"m = next(m for m in apps.get_models() if m.__name__ == {model!r}); "
        f"print(m.objects.filter(**{wanted!r}).count())"
    )
    return int(installation.command("shell", "--no-imports", "-c", code))
