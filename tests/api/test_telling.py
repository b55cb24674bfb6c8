"""The choice of what one is told in WeCom, over HTTP."""

import pytest

from tests.api.conftest import Api

PATH = "/me/wecom"


@pytest.mark.parametrize("body", [{"muted": ["todo"]}, {"quiet_from": 1}, {"quiet_from": 1, "quiet_to": 1}, {"x": 1}])
def test_what_can_not_be_chosen_is_refused(api: Api, body: dict[str, object]) -> None:
    assert api.person("nurse").ask("PUT", PATH, json=body).status_code == 422


def test_a_choice_is_kept(api: Api) -> None:
    nurse = api.person("nurse")
    body = {"muted": ["copy", "read"], "quiet_from": 1320, "quiet_to": 420}
    assert nurse.ask("PUT", PATH, json=body).json() == {**body, "reachable": False}
    assert nurse.get(PATH) == {**body, "reachable": False}
    assert api.person("doctor").get(PATH)["muted"] == []
