"""Upstreams over HTTP: written and read, their secrets never."""

import pytest
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.models import ChangeRecord, Member, Person
from accounts.services import add_member
from gateway.models import Upstream
from gateway.secrets import unseal
from tests.api.client import assert_problem, key_api, person_api

SENT = {
    "name": "OpenAI",
    "base_url": "https://api.openai.com/v1",
    "secret": "sk-this-is-secret-1234",
    "chat_models": {"fast": "gpt-4o-mini"},
}
ABSENT = "/upstreams/ups_01kjm3v5c0e8r9q2t4w6y8z0a3"


def test_an_upstream_is_written_read_changed_and_removed(api, acme):
    made = api.post("/upstreams", SENT)
    assert made.status_code == 201, made.content
    shown = made.json()
    assert "secret" not in shown
    assert SENT["secret"] not in made.content.decode()
    assert (shown["has_secret"], shown["secret_last4"]) == (True, "1234")
    path = f"/upstreams/{shown['id']}"
    assert api.get(path).json() == shown
    assert api.get("/upstreams").json()["data"] == [shown]
    row = Upstream.objects.get()
    assert SENT["secret"] not in row.secret
    assert unseal(row.secret) == SENT["secret"]
    version = acme.version
    changed = api.patch(path, {"enabled": False, "position": 3}).json()
    assert (changed["enabled"], changed["revision"]) == (False, 2)
    acme.refresh_from_db()
    assert acme.version > version
    replaced = api.put(path, SENT | {"secret": "sk-another-secret-9999"}).json()
    assert (replaced["position"], replaced["secret_last4"]) == (0, "9999")
    assert api.delete(path).status_code == 204
    assert_problem(api.get(path), 404, "not_found")
    row.refresh_from_db()
    assert row.secret == ""
    told = str(list(ChangeRecord.objects.values()))
    assert "upstream.archived" in told
    assert "sk-" not in told


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"base_url": "http://api.openai.com/v1"}, "/base_url"),
        ({"base_url": "https://127.0.0.1/v1"}, "/base_url"),
        ({"base_url": "https://169.254.169.254/"}, "/base_url"),
        ({"base_url": "https://api.example.com/v1?x=1"}, "/base_url"),
        ({"secret": "two words"}, "/secret"),
        ({"secret": "schlüssel"}, "/secret"),
        ({"chat_models": ["a"]}, "/chat_models"),
        ({"chat_models": {"a": 1}}, "/chat_models"),
        ({"embedding_models": {"": "x"}}, "/embedding_models"),
        ({"total_seconds": 0}, "/total_seconds"),
        ({"position": -1}, "/position"),
        ({"enabled": "yes"}, "/enabled"),
        ({"colour": "red"}, "/colour"),
        ({"project": "prj_01kjm3v5c0e8r9q2t4w6y8z0a2"}, "/project"),
    ],
)
def test_what_is_no_upstream_is_refused(api, more, pointer):
    answer = api.post("/upstreams", SENT | more)

    assert answer.status_code == 422, answer.content
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not Upstream.objects.exists()


def test_a_new_host_needs_the_secret_anew(api):
    path = f"/upstreams/{api.post('/upstreams', SENT).json()['id']}"

    moved = {"base_url": "https://thief.example.com/v1"}
    assert_problem(api.patch(path, moved), 422, "invalid_body", "/secret")
    assert api.patch(path, moved | {"secret": "sk-own"}).status_code == 200
    other = {"base_url": "https://thief.example.com/v2"}
    assert api.patch(path, other).status_code == 200


def test_a_stranger_finds_nothing(api, stranger):
    path = f"/upstreams/{api.post('/upstreams', SENT).json()['id']}"

    for call in (stranger.get, stranger.delete):
        absent, foreign = call(ABSENT), call(path)
        assert absent.status_code == foreign.status_code == 404
        assert absent.json()["code"] == foreign.json()["code"]
    assert stranger.patch(path, {"name": "Mine"}).status_code == 404
    assert stranger.get("/upstreams").json()["data"] == []


def test_a_project_key_has_its_own(api, project_api, project):
    shared = api.post("/upstreams", SENT).json()
    own = project_api.post("/upstreams", SENT).json()

    assert own["project"] == project.public_id
    assert [u["id"] for u in project_api.get("/upstreams").json()["data"]] == [
        own["id"]
    ]
    assert project_api.get(f"/upstreams/{shared['id']}").status_code == 404
    found = api.get(f"/upstreams?project={project.external_id}").json()["data"]
    assert [u["id"] for u in found] == [own["id"]]


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        (Member.Role.OWNER, 200, 201),
        (Member.Role.OPERATOR, 200, 201),
        (Member.Role.AUDITOR, 200, 403),
        (Member.Role.VIEWER, 200, 403),
    ],
)
def test_roles(acme, role, reads, writes):
    person = Person.objects.create_user("dana@x.org")
    now = timezone.now()
    add_member(account=acme, person=person, role=role, actor=SYSTEM, now=now)
    dana = person_api(person)

    assert dana.get("/upstreams").status_code == reads
    assert dana.post("/upstreams", SENT).status_code == writes


def test_scopes(acme):
    assert key_api(acme, ["usage:read"]).get("/upstreams").status_code == 403
    reader = key_api(acme, ["upstreams:read"])
    assert reader.get("/upstreams").status_code == 200
    assert reader.post("/upstreams", SENT).status_code == 403
