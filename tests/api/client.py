"""Calls to the API, and what a problem looks like."""

import json
from dataclasses import dataclass, field

from django.test import Client
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.models import Account, Person
from accounts.services import create_key

NOT_GIVEN = object()


@dataclass
class Api:
    """Calls the API as one caller and reads JSON answers."""

    headers: dict = field(default_factory=dict)
    client: Client = field(default_factory=Client)

    def call(
        self,
        method,
        path,
        body=NOT_GIVEN,
        *,
        raw=None,
        media_type="application/json",
        **headers,
    ):
        data = raw if raw is not None else b""
        if body is not NOT_GIVEN:
            data = json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method,
            f"/api/v1{path}",
            data,
            content_type=media_type if data else "",
            headers={**self.headers, **named},
        )

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def post(self, path, body=NOT_GIVEN, **headers):
        return self.call("POST", path, body, **headers)

    def put(self, path, body=NOT_GIVEN, **headers):
        return self.call("PUT", path, body, **headers)

    def patch(self, path, body=NOT_GIVEN, **headers):
        return self.call("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.call("DELETE", path, **headers)


def key_api(account: Account, scopes=("*",), *, project=None, bot=None) -> Api:
    _, text = create_key(
        account=account,
        name="test",
        scopes=list(scopes),
        project=project,
        bot=bot,
        actor=SYSTEM,
        now=timezone.now(),
    )
    return Api({"Authorization": f"Bearer {text}"})


def person_api(person: Person, *, csrf=False) -> Api:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(person)
    return Api({"Accept": "application/json"}, client)


def assert_problem(answer, status, code, *pointers):
    """The answer is a problem with this status, code and these pointers."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert [error["pointer"] for error in body["errors"]] == list(pointers)
    assert answer["Cache-Control"] == "no-store"


def write_policy(api, document, **changes):
    """Write a policy; return the answer."""
    answer = api.post("/policies", {**document, **changes})
    assert answer.status_code == 201, answer.content
    return answer.json()
