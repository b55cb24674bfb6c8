"""What somebody may not know of answers exactly as what doesn't exist, on every route that takes an id."""

import uuid
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.test_access import ROUTES, body_of, fill, headers_of, ids_of, params_of

# what everybody may know of
OF_PEOPLE = {"person_id", "process_key", "box", "number", "newer", "name", "system", "wecom_id", "staff_number", "site"}


@pytest.mark.parametrize("who", ["surgeon", "designer", "system_admin"])
def test_a_stranger_learns_nothing_from_an_id(api: Api, who: str) -> None:
    ids = ids_of(api)
    unknown = {k: v if k in OF_PEOPLE else str(uuid.uuid4()) for k, v in ids.items()} | {"letter_id": "123456"}
    person, told, asked = api.person(who), [], 0
    for method, path, operation in ROUTES:
        named = [k for k in ids if "{" + k + "}" in path and k not in OF_PEOPLE]
        if not named or (who == "system_admin" and "token_id" in named):
            continue
        options: dict[str, Any] = {"params": params_of(operation), "headers": headers_of(operation)} | body_of(
            operation
        )
        there, nowhere = (person.ask(method, fill(path, found), **options) for found in (ids, unknown))
        asked += 1
        if (there.status_code, there.content) != (nowhere.status_code, nowhere.content):
            told.append((operation["operationId"], there.text, nowhere.text))
    assert told == []
    assert asked >= 25
