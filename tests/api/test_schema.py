"""The schema is whole, true and open; its viewer lives with the strict policy."""

import json
import re

import pytest
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.routes import api_places

# Taken by the lane's probes for any method; only reading them is described.
READ_ONLY = ("/healthz", "/readyz", "/api/schema", "/api/docs")
JSON = ("application/json", "application/problem+json")


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


@pytest.fixture(scope="module")
def check(schema):
    """Check a value against one of the document's schemas."""
    whole = Resource.from_contents(schema, default_specification=DRAFT202012)
    known = Registry().with_resource("urn:openapi", whole)

    def against(value, wanted):
        text = json.dumps(wanted).replace('"#/', '"urn:openapi#/')
        validator = Draft202012Validator(
            json.loads(text), registry=known, format_checker=FormatChecker()
        )
        return [f"{e.json_path}: {e.message}" for e in validator.iter_errors(value)]

    return against


def _operations(schema):
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def _resolved(schema, answer):
    if "$ref" in answer:
        return schema["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return answer


def _contents(schema, operation):
    """Every content of an operation: where, its media type and what it is."""
    body = operation.get("requestBody", {}).get("content", {})
    for media_type, content in body.items():
        yield "request", media_type, content
    for status, answer in operation["responses"].items():
        content = _resolved(schema, answer).get("content", {})
        for media_type, each in content.items():
            yield status, media_type, each


def _examples(content):
    found = [example["value"] for example in content.get("examples", {}).values()]
    return [content["example"], *found] if "example" in content else found


def test_it_is_openapi_3_1(schema):
    assert schema["openapi"] == "3.1.0"


def _plain(path):
    return re.sub(r"\{\w+\}", "{}", path)


def test_every_route_is_described_and_nothing_else(schema):
    described = {
        f"{method.upper()} {_plain(path)}"
        for path, methods in schema["paths"].items()
        for method in methods
    }
    there = set()
    for place in api_places():
        methods = {"GET"} if place.path in READ_ONLY else place.methods or {"GET"}
        there |= {f"{method} {_plain(place.path)}" for method in methods}
    missing, invented = sorted(there - described), sorted(described - there)
    assert not missing, (
        f"not in OpenAPI: {missing}. Give a DRF method @operation(…) (api/schema.py), "
        "and a route of the lane its path in api/schema_hot.py or a hook of its own"
    )
    assert not invented, f"in OpenAPI, but no route: {invented}"


def test_every_operation_has_a_name_and_examples(schema):
    names = [operation["operationId"] for _, operation in _operations(schema)]
    assert len(names) == len(set(names))
    for name, operation in _operations(schema):
        assert operation["summary"], name
        for where, media_type, content in _contents(schema, operation):
            assert _examples(content), f"{name}: no example of {where} {media_type}"
        assert any(status < "300" for status in operation["responses"]), name


def test_every_example_is_what_its_schema_says(schema, check):
    wrong = []
    for name, operation in _operations(schema):
        for where, media_type, content in _contents(schema, operation):
            if not media_type.endswith("json"):
                continue
            for example in _examples(content):
                found = check(example, content["schema"])
                wrong += [f"{name} {where}: {each}" for each in found]
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_every_error_is_described(schema):
    for name, operation in _operations(schema):
        statuses = operation["responses"]
        assert not [s for s in statuses if not s.isdigit()], f"{name}: {statuses}"
        if operation.get("security") == []:
            continue
        assert "401" in statuses, f"{name} does not say what a bad key gets"
        if "requestBody" in operation:
            body = {"400", "413", "415", "422"} & set(statuses)
            assert body, f"{name} does not say what a bad body gets"
        for status in statuses:
            answer = _resolved(schema, statuses[status])
            assert answer["description"] or status < "300", f"{name} {status}"


def test_every_reference_leads_somewhere(schema):
    text = json.dumps(schema)
    for kind, name in re.findall(r'"#/components/(\w+)/([^"]+)"', text):
        assert name in schema["components"][kind], f"{kind}/{name}"


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
