"""The OpenAPI document: complete, true, and a description of hostile requests that find no defect."""

from collections import Counter
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok

from api.deps import ACCESS
from api.errors import MEDIA_TYPE
from api.openapi import _SAMPLES
from tests.api.conftest import Api, Person
from tests.api.test_access import DOCUMENT, ids_of

OPERATIONS = [
    (method, path, operation) for path, found in DOCUMENT["paths"].items() for method, operation in found.items()
]
DULL = {_SAMPLES["string"]}


def validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})


def dull(value: Any) -> bool:
    """Whether an example, or a part of it, says nothing."""
    if isinstance(value, dict):
        return any(map(dull, value.values()))
    return any(map(dull, value)) if isinstance(value, list) else value in DULL


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    assert any("\u4e00" <= c <= "\u9fff" for c in operation["summary"])
    for parameter in operation.get("parameters", []):
        assert parameter["in"] == "path" or parameter.get("description"), parameter["name"]
    successes = [status for status in operation["responses"] if status.startswith("2")]
    assert successes
    if path.startswith("/api/"):
        assert {"401", "403", "404", "422", "503"} <= operation["responses"].keys()
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            if not status.startswith("2"):
                assert kind == MEDIA_TYPE
            if kind in ("application/json", MEDIA_TYPE):
                validator(content["schema"]).validate(content["example"])
                assert not dull(content["example"]), content["example"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        validator(body["schema"]).validate(body["example"])
        assert not dull(body["example"])


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))
    assert all(name.isascii() for name in names)


def test_the_document_is_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert schemathesis.openapi.from_dict(DOCUMENT).validate() is None


# what would end the session of the run itself
LEFT_OUT = {"session_logout", "session_change_password"}
CHECKS: list[Any] = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def fuzz(operation: Any, person: Person, ids: dict[str, str], many: int) -> Counter[int]:
    """Send requests that fit an operation and ones that don't; returns the statuses of the answers."""
    public = operation.definition.raw.get(ACCESS, "public") == "public"
    client = person.api.client() if public else person.client
    sent: Counter[int] = Counter()
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

    @seed(20_260_302)
    @settings(
        max_examples=many, database=None, deadline=None, phases=[Phase.generate], derandomize=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes)), known=st.booleans())
    def send(case: schemathesis.Case[Any], known: bool) -> None:
        if known:  # real ids, or else hardly anything is ever found
            case.path_parameters.update({n: ids[n] for n in case.path_parameters if n in ids})
        request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        headers: dict[str, Any] = {name: value for name, value in request.headers.items() if name.lower() != "cookie"}
        headers["X-CSRF-Token"] = person.csrf
        content: Any = request.body
        answer = client.request(request.method or "", request.url or "", headers=headers, content=content)
        sent[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    send()
    return sent


@pytest.mark.combined("role", "nurse", "process_admin")
@pytest.mark.parametrize("role", ["nurse", "process_admin"])
def test_requests_that_fit_or_break_the_document_find_no_defect(
    api: Api, role: str, pytestconfig: pytest.Config
) -> None:
    ids, person = ids_of(api), api.person(role)
    many = 60 if pytestconfig.getoption("--long") else 3
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    sent: Counter[int] = Counter()
    for operation in (found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)):
        if operation.definition.raw["operationId"] not in LEFT_OUT:
            sent += fuzz(operation, person, ids, many)
    assert all(sent[status] for status in (200, 404, 422)), sent
