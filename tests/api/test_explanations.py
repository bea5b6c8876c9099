"""A past decision is explained by what was kept of it."""

import pytest
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.services import create_bot
from usage.entries import CallIn, EventIn
from usage.ledger import authorize, record_events

pytestmark = pytest.mark.django_db


def ask(account, bot, **fields):
    call = CallIn(bot=bot.public_id, **fields)
    return authorize(account=account, call=call, now=timezone.now()).body["id"]


def why(api, decision):
    answer = api.get(f"/audit/decisions/{decision}")
    assert answer.status_code == 200, answer.content
    return answer.json()["explanation"]


def test_each_limit_is_explained(api, acme, bot, document):
    cap = api.post("/policies", document).json()
    money = {**document["limits"][0], "metric": "cost", "threshold": "2"}
    other = {**document, "name": "Money", "limits": [money], "actions": {"warn": {}}}
    api.post("/policies", other)
    event = EventIn(bot=bot.public_id, tokens=900, cost=1_500_000)
    record_events(account=acme, events=[event], now=timezone.now())
    decision = ask(acme, bot, estimate={"tokens": 300, "cost": 750_000})
    renamed = {**document, "name": "Renamed"}
    api.put(f"/policies/{cap['id']}", renamed, If_Match='"1"')

    tokens, cost = why(api, decision)
    assert (tokens["name"], tokens["revision"]) == ("Daily cap", 1)
    assert (tokens["needed"], tokens["margin"]) == (300, -200)
    assert tokens["decisive"] is True
    assert tokens["words"].startswith(
        "Daily cap (revision 1): 900 of 1,000 tokens used."
        " This call needed 300 tokens, 200 too many. Resets 20"
    )
    assert (cost["needed"], cost["margin"], cost["decisive"]) == (
        *("0.75", "-0.25"),
        False,
    )
    assert cost["words"].endswith("It tells people and refuses nothing.")


def test_a_granted_hold_is_not_taken_off_twice(api, acme, bot, document):
    api.post("/policies", document)
    decision = ask(acme, bot, estimate={"tokens": 300}, reserve=True)

    (line,) = why(api, decision)
    assert (line["needed"], line["margin"]) == (300, 700)
    assert "300 held. This call needed 300 tokens and left 700." in line["words"]


def test_what_refuses_nobody_says_so(api, acme, bot, document):
    api.post("/policies", {**document, "rollout_mode": "shadow"})
    decision = ask(acme, bot, estimate={"tokens": 1001})

    (line,) = why(api, decision)
    assert line["words"].endswith("It is not enforced for this call.")


def test_a_key_of_a_project_reads_no_figures_of_others(
    api, acme, project, project_api, document
):
    inner = create_bot(
        account=acme, name="In", project=project, actor=SYSTEM, now=timezone.now()
    )
    api.post("/policies", document)
    decision = ask(acme, inner, estimate={"tokens": 777})

    (line,) = why(project_api, decision)
    assert line["margin"] is None
    assert line["words"].startswith(
        "Daily cap (revision 1): The call was within the limit. Resets 20"
    )


def test_a_call_without_policies_has_nothing_to_explain(api, acme, bot):
    assert why(api, ask(acme, bot)) == []
