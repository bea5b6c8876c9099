"""What every route does alike: who calls, what is refused first, how errors read."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.models import ApiKey
from accounts.services import add_member, revoke_key
from tests.api.client import Api, assert_problem, key_api, person_api

ROUTES = [
    ("GET", "/bots", "bots:read"),
    ("POST", "/bots", "bots:write"),
    ("GET", "/bots/x", "bots:read"),
    ("PATCH", "/bots/x", "bots:write"),
    ("DELETE", "/bots/x", "bots:write"),
    ("POST", "/bots/x/block", "bots:write"),
    ("GET", "/projects", "projects:read"),
    ("POST", "/projects", "projects:write"),
    ("DELETE", "/projects/x", "projects:write"),
    ("GET", "/keys", "keys:read"),
    ("POST", "/keys", "keys:write"),
    ("POST", "/keys/x/rotate", "keys:write"),
    ("POST", "/keys/x/revoke", "keys:write"),
    ("GET", "/policies", "policies:read"),
    ("POST", "/policies", "policies:write"),
    ("PUT", "/policies/x", "policies:write"),
    ("PATCH", "/policies/x", "policies:write"),
    ("DELETE", "/policies/x", "policies:write"),
    ("GET", "/policies/x/usage", "usage:read"),
    ("GET", "/policies/x/revisions", "policies:read"),
    ("GET", "/policies/x/history", "policies:read"),
    ("GET", "/policies/x/blocks", "policies:read"),
    ("POST", "/policies/x/restore", "policies:write"),
    ("POST", "/policies/x/reset", "policies:write"),
    ("POST", "/policies/x/blocks/y/clear", "policies:write"),
    ("GET", "/conversations", "conversations:read"),
    ("POST", "/conversations", "conversations:write"),
    ("GET", "/conversations/x/messages", "conversations:read"),
    ("POST", "/conversations/x/messages", "conversations:write"),
    ("DELETE", "/conversations/x", "conversations:write"),
    ("GET", "/alerts", "alerts:read"),
    ("POST", "/alerts/x/ack", "alerts:write"),
    ("GET", "/audit/decisions", "audit:read"),
    ("GET", "/audit/decisions/x", "audit:read"),
    ("GET", "/audit/changes", "audit:read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_a_key_comes_first_then_its_scope_then_the_rest(acme, method, path, scope):
    nobody = Api().call(method, path, raw=b"{")
    assert_problem(nobody, 401, "invalid_key")
    assert nobody["WWW-Authenticate"].startswith("Bearer")

    lacking = key_api(acme, ["gateway"]).call(method, path, raw=b"{")
    assert_problem(lacking, 403, "missing_scope")
    assert scope in lacking.json()["detail"]

    able = key_api(acme, [scope]).call(method, path, raw=b"{")
    assert able.status_code in (200, 400, 404), able.content


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Basic YTpi", "bearer phk_live_" + "a" * 36, "\x00"],
)
def test_a_header_that_is_there_has_to_be_right(alice, header):
    browsing = person_api(alice)
    answer = browsing.get("/bots", Authorization=header)

    assert_problem(answer, 401, "invalid_key")


def test_a_revoked_key_is_no_key(acme, api):
    assert api.get("/bots").status_code == 200
    key = ApiKey.objects.get()
    revoke_key(key=key, actor=SYSTEM, now=timezone.now())

    assert_problem(api.get("/bots"), 401, "invalid_key")


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"nul", 400, "malformed_json"),
        (b'{"name": "a", "name": "b"}', 400, "malformed_json"),
        (b'{"name": NaN}', 400, "malformed_json"),
        (b'{"name": Infinity}', 400, "malformed_json"),
        (b'{"name": 1e999}', 400, "malformed_json"),
        (b'{"name": "\\u0000"}', 400, "malformed_json"),
        (b'{"name": "\\ud800"}', 400, "malformed_json"),
        (b'{"\\udc00": 1}', 400, "malformed_json"),
        (b'{"name": "\xff"}', 400, "malformed_json"),
        (b"\xff\xfe{\x00}\x00", 400, "malformed_json"),
        (b'\xef\xbb\xbf{"name": "a"}', 400, "malformed_json"),
        (b'{"name": ' + b"1" * 5000 + b"}", 400, "malformed_json"),
        (b"[" * 33 + b"]" * 33, 400, "malformed_json"),
        (b"[" * 100_000, 400, "malformed_json"),
        (b'{"name": "' + b"a" * 262_144 + b'"}', 413, "body_too_large"),
        (b"[" * 32 + b"]" * 32, 422, "invalid_body"),
        (b'"' + b"[" * 50 + b'"', 422, "invalid_body"),
    ],
)
def test_json_is_read_strictly(api, raw, status, code):
    pointers = [""] if status == 422 else []

    assert_problem(api.call("POST", "/bots", raw=raw), status, code, *pointers)


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "x"],
)
def test_another_content_type_is_refused(api, media_type):
    answer = api.call("POST", "/bots", raw=b'{"name": "a"}', media_type=media_type)

    assert_problem(answer, 415, "unsupported_media_type")


def test_an_encoded_body_is_refused(api):
    answer = api.post("/bots", {"name": "a"}, Content_Encoding="gzip")

    assert_problem(answer, 415, "unsupported_media_type")


def test_a_media_type_may_name_its_charset(api):
    media_type = "application/json; charset=utf-8"
    answer = api.call("POST", "/bots", raw=b'{"name": "a"}', media_type=media_type)

    assert answer.status_code == 201


def test_a_method_that_is_not_taken_is_named(api):
    answer = api.put("/bots", {})

    assert_problem(answer, 405, "method_not_allowed")
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/nothing", "/bots/", "/bots/x/dance", "/"])
def test_a_route_that_is_none_is_a_problem(api, method, path):
    assert_problem(api.call(method, path), 404, "no_such_route")


def test_an_answer_in_another_form_is_not_to_be_had(api):
    answer = api.get("/bots", Accept="application/xml")

    assert_problem(answer, 406, "not_acceptable")


def test_a_query_with_a_nul_is_refused(api):
    assert api.get("/bots?state=a%00b").status_code == 422
    assert api.get("/bots/a%00b").status_code == 404
    assert api.get("/bots?%00=b").status_code == 422


def test_head_and_options_answer(api):
    assert api.call("HEAD", "/bots").status_code == 200
    assert api.call("OPTIONS", "/bots").status_code == 200


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        ("owner", ["GET /keys", "POST /keys", "GET /audit/changes"], []),
        ("operator", ["POST /bots", "GET /keys"], ["POST /keys"]),
        ("auditor", ["GET /audit/changes", "GET /keys"], ["POST /bots"]),
        ("viewer", ["GET /bots"], ["GET /keys", "GET /audit/decisions", "POST /bots"]),
    ],
)
def test_a_role_says_what_a_person_may_do(acme, bob, role, allowed, refused):
    now = timezone.now()
    add_member(account=acme, person=bob, role=role, actor=SYSTEM, now=now)
    browsing = person_api(bob)
    bodies = {"/keys": {"scopes": ["decide"]}, "/bots": {"name": "x"}}

    for line in allowed:
        method, path = line.split()
        args = [bodies[path]] if method == "POST" else []
        assert browsing.call(method, path, *args).status_code < 300, line
    for line in refused:
        method, path = line.split()
        args = [bodies[path]] if method == "POST" else []
        assert_problem(browsing.call(method, path, *args), 403, "missing_scope")


def test_a_form_that_is_none_is_refused_before_its_token_is_looked_for(alice):
    browsing = person_api(alice, csrf=True)
    browsing.client.cookies["csrftoken"] = "a" * 32
    answer = browsing.call("POST", "/bots", raw=b"9", media_type="multipart/form-data")
    assert_problem(answer, 415, "unsupported_media_type")


def test_a_session_writes_only_with_its_csrf_token(alice):
    browsing = person_api(alice, csrf=True)

    assert browsing.get("/bots").status_code == 200
    assert_problem(browsing.post("/bots", {"name": "x"}), 403, "csrf_failed")


def test_a_session_may_name_an_account_of_its_person(acme, rival, alice):
    browsing = person_api(alice)

    assert browsing.get("/bots?account=acme").status_code == 200
    foreign = browsing.get("/bots?account=rival")
    absent = browsing.get("/bots?account=nowhere")
    assert_problem(foreign, 404, "not_found")
    assert foreign.content == absent.content


def test_a_person_without_an_account_may_nothing(db, django_user_model):
    person = django_user_model.objects.create_user("dora@x.org")

    assert_problem(person_api(person).get("/bots"), 403, "forbidden")


def test_a_page_to_browse_is_html(alice, bot):
    client = Client()
    client.force_login(alice)

    page = client.get("/api/v1/bots", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    assert bot.public_id in page.content.decode()
    lost = client.get("/api/v1/bots/x", headers={"Accept": "text/html"})
    assert lost.status_code == 404
    assert lost["Content-Type"].startswith("text/html")
