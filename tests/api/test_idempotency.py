"""A POST that is sent again does nothing twice."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from api.idempotency import KEPT, _claim, _name
from api.models import IdempotentAnswer
from tests.api.client import assert_problem, key_api


def test_the_first_answer_is_replayed(api, acme):
    first = api.post("/bots", {"name": "a"}, Idempotency_Key="k1")
    again = api.post("/bots", {"name": "a"}, Idempotency_Key="k1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["ETag"] == first["ETag"]
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert acme.bots.count() == 1


def test_another_body_is_refused(api, acme):
    api.post("/bots", {"name": "a"}, Idempotency_Key="k1")

    other = api.post("/bots", {"name": "b"}, Idempotency_Key="k1")
    assert_problem(other, 422, "idempotency_key_reused")
    assert acme.bots.count() == 1


def test_a_key_belongs_to_its_route_and_its_caller(api, acme):
    api.post("/bots", {"name": "a"}, Idempotency_Key="k1")

    assert api.post("/projects", {"name": "a"}, Idempotency_Key="k1").status_code == 201
    other = key_api(acme).post("/bots", {"name": "a"}, Idempotency_Key="k1")
    assert "Idempotent-Replayed" not in other
    assert acme.bots.count() == 2


def test_a_refusal_is_decided_anew(api, acme):
    wrong = api.post("/bots", {"name": ""}, Idempotency_Key="k1")

    assert_problem(wrong, 422, "invalid_body", "/name")
    assert api.post("/bots", {"name": "a"}, Idempotency_Key="k1").status_code == 201


def test_an_answer_is_forgotten_after_a_day(api, acme):
    api.post("/bots", {"name": "a"}, Idempotency_Key="k1")
    api.post("/bots", {"name": "a"}, Idempotency_Key="k2")
    IdempotentAnswer.objects.update(created_at=timezone.now() - KEPT)

    again = api.post("/bots", {"name": "a"}, Idempotency_Key="k1")
    assert "Idempotent-Replayed" not in again
    assert acme.bots.count() == 3
    assert IdempotentAnswer.objects.count() == 1
    IdempotentAnswer.objects.update(
        created_at=timezone.now() - KEPT + timedelta(minutes=1)
    )
    kept = api.post("/bots", {"name": "a"}, Idempotency_Key="k1")
    assert kept["Idempotent-Replayed"] == "true"


def test_a_keys_text_is_replayed_and_yet_stored_nowhere_in_the_clear(api):
    body = {"scopes": ["decide"]}
    first = api.post("/keys", body, Idempotency_Key="k1").json()
    again = api.post("/keys", body, Idempotency_Key="k1").json()

    assert again["key"] == first["key"]
    stored = bytes(IdempotentAnswer.objects.get().answer)
    assert first["key"].encode() not in stored


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é"])
def test_a_key_that_is_none_is_refused(api, acme, key):
    answer = api.post("/bots", {"name": "a"}, Idempotency_Key=key)

    assert_problem(answer, 400, "invalid_idempotency_key")
    assert acme.bots.count() == 0


def test_a_huge_body_is_refused_all_the_same(api):
    raw = b'"' + b"a" * 3_000_000 + b'"'
    answer = api.call("POST", "/bots", raw=raw, Idempotency_Key="k1")

    assert_problem(answer, 413, "body_too_large")


@pytest.mark.django_db(transaction=True)
def test_a_second_request_in_flight_is_refused(api, acme, rf):
    from accounts.selectors import authenticate_key
    from api.callers import caller_of_key

    text = api.headers["Authorization"].removeprefix("Bearer ")
    caller = caller_of_key(authenticate_key(text, timezone.now()))
    request = rf.post("/api/v1/bots", headers={"Idempotency-Key": "k1"})
    held, done = threading.Event(), threading.Event()

    def hold():
        from django.db import transaction

        with transaction.atomic():
            _claim(_name(request, caller))
            held.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        answer = api.post("/bots", {"name": "a"}, Idempotency_Key="k1")
    finally:
        done.set()
        holder.join()
    assert_problem(answer, 409, "idempotency_key_in_flight")
    assert api.post("/bots", {"name": "a"}, Idempotency_Key="k1").status_code == 201
