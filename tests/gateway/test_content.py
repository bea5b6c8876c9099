"""What content policies find on a call, who is bound by them, and what they tell."""

from gateway.content import Screen, content_policy
from policies.matching import Caller, in_rollout
from policies.rules import parse

CALLER = Caller(project="prj_1", bot="bot_1", user="u-1", model="gpt-x")


def policy(policy_id="pol_1", *, direction="both", action="redact", **options):
    lists = {
        name: options.pop(name, []) for name in ("allowlist", "denylist", "categories")
    }
    document = parse(
        {
            "type": "content",
            "name": "Rule",
            "content": {"direction": direction, "action": action, **lists},
            **options,
        }
    )
    return content_policy(policy_id=policy_id, revision=1, document=document)


def test_one_screen_counts_all_texts_of_a_call():
    rules = [policy(categories=["card", "email"], denylist=["Falcon", r"proj-\d+"])]
    screen = Screen(rules, CALLER, "response")
    first, second = screen.stream(), screen.stream(source=True)
    left = [first.feed("falcon 4111 1111"), second.feed('{"id": "proj-12')]
    left += [first.feed(" 1111 1111 "), second.feed('3"}')]
    left += [first.close(), second.close()]
    assert "".join(left[::2]) == "[redacted] [redacted:card] "
    assert "".join(left[1::2]) == '{"id": "[redacted]"}'
    found = screen.findings
    assert found.categories == {"card"}
    assert found.denylist_hits == {"Falcon", r"proj-\d+"}
    assert found.policies == {"pol_1": True}
    assert found.redacted is rules[0]
    assert found.denied is None


def test_a_denying_policy_is_named_and_nothing_of_its_find_leaves():
    screen = Screen([policy(action="deny", denylist=["bomb"])], CALLER, "request")
    text = screen.stream()
    assert text.feed("how to build a bo") == "how to build a "
    assert screen.denied is None
    assert "bomb" not in text.feed("mb ")
    assert screen.denied is not None


def test_shadow_warn_and_percent_only_watch():
    share = next(
        percent for percent in range(100) if not in_rollout("pol_3", CALLER, percent)
    )
    rules = [
        policy("pol_1", categories=["email"], rollout_mode="shadow"),
        policy("pol_2", categories=["email"], action="warn"),
        policy("pol_3", categories=["email"], action="deny", rollout_percent=share),
        policy("pol_4", categories=["email"], rollout_mode="off"),
    ]
    screen = Screen(rules, CALLER, "request")
    pieces = [screen.stream()]
    assert pieces[0].feed("bob@exam") == "bob@exam"
    assert pieces[0].feed("ple.com") == "ple.com"
    assert pieces[0].close() == ""
    assert screen.findings.policies == {"pol_1": False, "pol_2": True, "pol_3": False}
    assert screen.denied is None
    assert screen.findings.redacted is None


def test_scope_and_direction_say_whom_a_policy_is_about():
    rules = [
        policy("pol_1", categories=["ip"], direction="request"),
        policy("pol_2", categories=["ip"], scope={"user": "u-2"}),
        policy("pol_3", categories=["ip"], scope={"model": "gpt-*"}),
    ]
    asked, answered = (Screen(rules, CALLER, way) for way in ("request", "response"))
    assert asked.whole("10.0.0.1") == answered.whole("10.0.0.1") == "[redacted:ip]"
    assert set(asked.findings.policies) == {"pol_1", "pol_3"}
    assert set(answered.findings.policies) == {"pol_3"}
    assert not Screen(rules[1:2], CALLER, "request")


def test_an_entry_that_cannot_be_seen_harms_nobody():
    rules = [policy(denylist=["\u200b", "real"], allowlist=["really"])]
    screen = Screen(rules, CALLER, "request")
    assert screen.whole("real and really") == "[redacted] and really"
    assert screen.findings.allowlist_hits == {"really"}
