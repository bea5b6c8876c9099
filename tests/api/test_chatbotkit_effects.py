"""What policies in ChatBotKit's form do, and who may see them."""

from datetime import timedelta

from django.utils import timezone

from tests.api.compat import USAGE, ask, assert_told, create, fetch, spend


def test_a_crossing_blocks_for_the_rest_of_the_window(api, acme, bot):
    policy_id = create(api, type="usage", name="Cap", botId=bot.public_id, config=USAGE)
    path = f"/policy/{policy_id}/block"
    free = {"scope": "bot", "botId": bot.public_id, "block": None, "blockedBotIds": []}
    assert api.get(f"{path}/list").json() == free
    spend(acme, bot, 1000)

    told = api.get(f"{path}/list").json()
    assert (told["scope"], told["botId"]) == ("bot", bot.public_id)
    assert told["block"]["policyId"] == policy_id
    assert "Cap" in told["block"]["reason"]
    assert 590 < told["block"]["ttl"] <= 600
    assert told["blockedBotIds"] == [bot.public_id]
    assert ask(acme, bot)["reason_code"] == "blocked"
    assert api.post(f"{path}/clear", {}).json() == {"cleared": 1}
    assert api.get(f"{path}/list").json() == free
    assert ask(acme, bot)["allowed"]
    spend(acme, bot, 999)
    assert ask(acme, bot)["allowed"]
    assert api.post(f"{path}/clear").json() == {"cleared": 0}
    spend(acme, bot, 999)
    assert ask(acme, bot)["allowed"]


def test_bot_and_global_policies_merge_into_the_longest_block(api, acme, bot):
    short = create(api, type="usage", botId=bot.public_id, config=USAGE)
    long = {"block": {"durationInSeconds": 7200}}
    everyone = create(api, type="usage", config={**USAGE, "actions": long})
    spend(acme, bot, 1500)

    refused = ask(acme, bot)
    assert refused["reason_code"] == "blocked"
    assert 7190 < refused["retry_after"] <= 7200
    told = api.get(f"/policy/{everyone}/block/list").json()
    assert (told["scope"], told["botId"]) == ("global", None)
    assert told["blockedBotIds"] == [bot.public_id]
    assert api.post(f"/policy/{everyone}/block/clear", {}).json() == {"cleared": 1}
    assert ask(acme, bot)["retry_after"] <= 600
    assert api.post(f"/policy/{short}/block/clear", {}).json() == {"cleared": 1}
    assert ask(acme, bot)["allowed"]


def test_one_mail_a_window(api, acme, bot):
    from alerts.models import Alert, Delivery

    create(
        api,
        type="usage",
        config={**USAGE, "threshold": 10, "actions": {"email": "a@x.org"}},
    )
    for _ in range(5):
        spend(acme, bot, 10)

    assert Alert.objects.count() == 1
    assert Delivery.objects.filter(channel="email").count() == 1
    assert ask(acme, bot)["allowed"]


def test_a_project_key_sees_its_own_and_the_shared(api, project_api, project, acme):
    shared = create(api, name="Shared", alias="cap", config={"expiresInDays": 9})
    own = create(project_api, name="Own", alias="cap", type="usage", config=USAGE)

    items = project_api.get("/policy/list").json()["items"]
    assert {each["id"] for each in items} == {shared, own}
    assert [each["id"] for each in api.get("/policy/list").json()["items"]] == [shared]
    assert fetch(project_api, "@cap")["id"] == own
    assert fetch(api, "@cap")["id"] == shared
    for path, body in (("update", {}), ("delete", {}), ("block/clear", {})):
        answer = project_api.post(f"/policy/{shared}/{path}", body)
        assert_told(answer, 403, "NOT_AUTHORIZED", "forbidden")
    hidden = project_api.get(f"/policy/{shared}/block/list")
    assert_told(hidden, 403, "NOT_AUTHORIZED", "forbidden")
    assert project_api.post(f"/policy/{own}/update", {"name": "x"}).status_code == 200
    assert project_api.get(f"/policy/{own}/block/list").status_code == 200


def test_a_create_that_is_sent_again_makes_one_policy(api):
    first = api.post("/policy/create", {"name": "x"}, Idempotency_Key="k")
    again = api.post("/policy/create", {"name": "x"}, Idempotency_Key="k")
    assert first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true"
    other = api.post("/policy/create", {"name": "y"}, Idempotency_Key="k")
    assert_told(other, 422, "UNPROCESSABLE_ENTITY", "idempotency_key_reused")


def test_the_window_restarts_with_the_first_event_after_it(api, acme, bot):
    create(api, type="usage", botId=bot.public_id, config=USAGE)
    earlier = timezone.now() - timedelta(hours=1)
    spend(acme, bot, 900, occurred_at=earlier)
    spend(acme, bot, 900)
    assert ask(acme, bot)["allowed"]
