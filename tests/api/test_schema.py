"""The schema is whole and open; its viewer lives with the strict policy."""

import json

import pytest
from django.core.management import call_command
from django.test import Client

HOT = {
    "/api/v1/authorize": "post",
    "/api/v1/usage": "post",
    "/api/v1/reservations/{id}/release": "post",
    "/api/v1/budget": "get",
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    file = tmp_path_factory.mktemp("schema") / "schema.json"
    call_command(
        "spectacular",
        file=str(file),
        format="openapi-json",
        validate=True,
        fail_on_warn=True,
    )
    return json.loads(file.read_text())


def _operations(schema):
    return [
        (f"{method} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_openapi_3_1_with_the_hot_routes(schema):
    assert schema["openapi"] == "3.1.0"
    for path, method in HOT.items():
        assert method in schema["paths"][path]


def test_every_operation_has_an_example_and_its_own_name(schema):
    names = [operation["operationId"] for _, operation in _operations(schema)]
    assert len(names) == len(set(names))
    for name, operation in _operations(schema):
        contents = [
            content
            for answer in operation["responses"].values()
            for content in answer.get("content", {}).values()
        ]
        assert any("example" in c or "examples" in c for c in contents), name
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in content or "examples" in content, name


def test_every_reference_leads_somewhere(schema):
    known = schema["components"]["schemas"]
    text = json.dumps(schema)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in known


def test_the_schema_and_its_viewer_are_open(db):
    client = Client()

    answer = client.get("/api/schema", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["openapi"] == "3.1.0"
    page = client.get("/api/docs")
    assert page.status_code == 200
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy
    html = page.content.decode()
    assert "<style" not in html
    assert "style=" not in html
    assert "https://" not in html
    assert html.count("<script") == html.count("<script src=") == 2
