"""Landray EKP: what its unified to-do list needs beyond the contract of all kinds; SOAP and the REST twin alike."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine import clock
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.landray import Landray
from engine.connectors.oa.adapters.moments import local
from engine.connectors.oa.adapters.protocol import State, Unknown
from engine.outbox import Configuration, Permanent, Transient
from sandbox.oa.server import Running
from tests.engine.connectors.conftest import Listener
from tests.engine.connectors.items import LANDRAY, item, landray, listening

ME, OTHER = "2001", "2002"


@pytest.fixture(params=["landray.soap", "landray.rest"])
def ekp(request: pytest.FixtureRequest, oa_sandbox: Running, tmp_path: Path) -> Iterator[Landray]:
    """The adapter of the sandbox's Landray."""
    settings, made = KINDS[request.param]
    given = oa_sandbox.site(request.param) | {"code": "ekp", "folder": tmp_path, "timeout": 2}
    adapter: Any = made(settings.model_validate(given), lambda: None)
    yield adapter
    adapter.close()


@pytest.fixture
def people(oa_sandbox: Running) -> tuple[str, str]:
    """Two people whom the OA knows."""
    first, second, *_ = oa_sandbox.state.people
    return first, second


def shows(oa: Running, account: str) -> list[tuple[str, str]]:
    """What a person's open lists show, by key and list."""
    return [(row.key, row.state) for row in oa.state.landray.open(account)]


# A to-do that may be there


@pytest.mark.parametrize("state", [State.TODO, State.READ])
def test_an_item_that_shows_twice_shows_once_when_it_is_put_in_doubt(
    oa_sandbox: Running, ekp: Landray, people: tuple[str, str], state: State
) -> None:
    one = item(account=people[0], sender_account=people[1])
    for _ in range(2):
        ekp.put(one, state)
    assert len(shows(oa_sandbox, people[0])) == 2, "its sendTodo is no upsert"
    ekp.put(one, state, doubtful=True)
    assert shows(oa_sandbox, people[0]) == [(one.key, state)]


def test_an_item_in_the_wrong_list_is_moved(oa_sandbox: Running, ekp: Landray, people: tuple[str, str]) -> None:
    one = item(account=people[0], sender_account=people[1])
    ekp.put(one, State.READ)
    ekp.put(one, State.TODO, doubtful=True)
    assert shows(oa_sandbox, people[0]) == [(one.key, "todo")]


def test_an_item_that_waits_again_is_not_listed_as_done_too(
    oa_sandbox: Running, ekp: Landray, people: tuple[str, str]
) -> None:
    one = item(account=people[0], sender_account=people[1])
    ekp.put(one, State.TODO)
    ekp.put(one, State.DONE)
    ekp.put(one, State.TODO, doubtful=True)
    assert [row.state for row in oa_sandbox.state.landray.of(people[0])] == ["todo"]


def test_what_is_there_as_it_should_be_costs_one_question(
    oa_sandbox: Running, ekp: Landray, people: tuple[str, str]
) -> None:
    one = item(account=people[0], sender_account=people[1])
    ekp.put(one, State.TODO)
    ekp.put(one, State.TODO, doubtful=True)
    assert [seen.operation for seen in oa_sandbox.state.requests("landray")] == ["sendTodo", "getTodo"]
    assert oa_sandbox.state.landray.open(people[0])[0].notified == 1


def test_where_the_list_cannot_be_read_nothing_is_sent(
    oa_sandbox: Running, ekp: Landray, people: tuple[str, str]
) -> None:
    one = item(account=people[0], sender_account=people[1])
    ekp.put(one, State.TODO)
    oa_sandbox.state.faults.add("landray", "getTodo", "html502")
    with pytest.raises(Transient):
        ekp.put(one, State.TODO, doubtful=True)
    assert shows(oa_sandbox, people[0]) == [(one.key, "todo")]


# Closing


@pytest.mark.parametrize("state", [State.DONE, State.FINISHED, State.DELETED])
def test_closing_what_is_closed_is_as_wanted(
    oa_sandbox: Running, ekp: Landray, people: tuple[str, str], state: State
) -> None:
    one = item(account=people[0], sender_account=people[1])
    ekp.put(one, State.TODO)
    for _ in range(2):
        ekp.put(one, state)
    assert shows(oa_sandbox, people[0]) == []


def test_closing_an_item_of_somebody_who_left_the_oa_is_as_wanted(ekp: Landray) -> None:
    ekp.put(item(account="nobody"), State.DONE)
    ekp.put(item(account="nobody"), State.DELETED)


def row(number: int, **changed: Any) -> dict[str, Any]:
    """Return a row of getTodo."""
    given = {"id": "x", "subject": "s", "type": 1, "appName": "Piyue", "modelId": item(number).key}
    return given | {"createTime": "2026-03-02 09:30", "link": "/sys/notify/1"} | changed


def listed(*rows: dict[str, Any], pages: int = 1) -> Any:
    """Return what getTodo answers with these rows."""
    message = {"pageCount": str(pages), "pageno": "1", "count": len(rows), "docs": rows}
    return landray("getTodo", 2, json.dumps(message))


def test_what_still_shows_after_nothing_was_done_is_refused(listener: Listener, tmp_path: Path) -> None:
    ekp = listening(listener, "landray.soap", tmp_path)
    listener.answer(LANDRAY, landray("setTodoDone", 0), listed(row(1)))
    with pytest.raises(Permanent):
        ekp.put(item(1), State.DONE)
    ekp.close()


def test_an_oa_that_does_not_look_at_conditions_does_not_confuse(listener: Listener, tmp_path: Path) -> None:
    ekp = listening(listener, "landray.soap", tmp_path)
    others = listed(row(2), row(1, appName="HR"), row(3, type=2))
    listener.answer(LANDRAY, others, others, landray("sendTodo", 2))
    ekp.put(item(1), State.TODO, doubtful=True)
    assert b":sendTodo>" in listener.last(LANDRAY).body
    ekp.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (landray("getTodo", 2, '{"errorPage":"true","message":"数据库连接失败"}'), Transient),
        (landray("getTodo", 2, '{"docs":{}}'), Transient),
        (landray("getTodo", 2, "not JSON"), Transient),
        (landray("getTodo", 1, "认证失败：用户名或密码错误"), Configuration),
        (listed(row(2), pages=1000), Transient),
    ],
)
def test_a_list_that_says_nothing_is_not_an_empty_list(
    listener: Listener, tmp_path: Path, answer: Any, kind: type[Exception]
) -> None:
    ekp = listening(listener, "landray.soap", tmp_path)
    listener.answer(LANDRAY, answer)
    with pytest.raises(kind):
        ekp.shown(ME)
    with pytest.raises(kind):
        ekp.put(item(), State.TODO, doubtful=True)
    assert not any(b":sendTodo>" in heard.body for heard in listener.heard)
    ekp.close()


@pytest.mark.parametrize(
    "answer",
    [
        landray("getTodo", 2, '{"errorPage":"true","message":"很抱歉，未找到相应的记录！"}'),
        landray("getTodo", 2, '{"errorPage":"true","message":"没有记录"}'),
        landray("getTodo", 2, '{"pageCount":0,"pageno":1,"count":0,"docs":[]}'),
        landray("getTodo", 0),
    ],
)
def test_an_empty_list_is_told_in_several_ways(listener: Listener, tmp_path: Path, answer: Any) -> None:
    ekp = listening(listener, "landray.soap", tmp_path)
    listener.answer(LANDRAY, answer)
    assert ekp.shown(ME) == []
    ekp.close()


# What is sent


def test_a_sender_whom_the_oa_does_not_know_holds_nothing_up(listener: Listener, tmp_path: Path) -> None:
    ekp = listening(listener, "landray.soap", tmp_path)
    listener.answer(LANDRAY, landray("sendTodo", 1, "创建者不存在"), landray("sendTodo", 2))
    ekp.put(item(), State.TODO)
    assert ["docCreator" in heard.body.decode() for heard in listener.heard] == [True, False]
    ekp.close()


def test_people_are_named_as_the_site_says(listener: Listener, tmp_path: Path) -> None:
    ekp = listening(listener, "landray.soap", tmp_path, target="PersonNo")
    listener.answer(LANDRAY, landray("sendTodo", 2))
    ekp.put(item(), State.TODO)
    assert b'<targets>{"PersonNo": "2001"}</targets>' in listener.last(LANDRAY).body
    ekp.close()


@pytest.mark.parametrize(("urgency", "level"), [(0, 3), (1, 2), (2, 2), (3, 1)])
def test_urgent_items_are_marked(listener: Listener, tmp_path: Path, urgency: int, level: int) -> None:
    ekp = listening(listener, "landray.soap", tmp_path)
    listener.answer(LANDRAY, landray("sendTodo", 2))
    ekp.put(item(urgency=urgency), State.TODO)
    assert f"<level>{level}</level>".encode() in listener.last(LANDRAY).body
    ekp.close()


def test_a_rest_answer_without_a_state_says_nothing(listener: Listener, tmp_path: Path) -> None:
    ekp = listening(listener, "landray.rest", tmp_path)
    with pytest.raises(Unknown):
        ekp.put(item(), State.TODO)
    assert listener.last("/api/sys-notify/sysNotifyTodoRestService/sendTodo").headers["Authorization"][:6] == "Basic "
    ekp.close()


# The OA's own items


def test_links_of_the_oa_s_own_items_lead_into_it_and_nowhere_else(listener: Listener, tmp_path: Path) -> None:
    ekp = listening(listener, "landray.soap", tmp_path, address=f"{listener.url}/ekp/")
    links = ["/sys/notify/1", "sys/notify/1", "https://other.example/1", "javascript:alert(1)", ""]
    rows = [row(number, appName="", link=link) for number, link in enumerate(links)]
    listener.answer("/ekp" + LANDRAY, listed(*rows))
    inside = f"{listener.url}/ekp/sys/notify/1"
    assert [entry.link for entry in ekp.waiting(ME)] == [
        inside, inside, "https://other.example/1", f"{listener.url}/ekp/", f"{listener.url}/ekp/"
    ]  # fmt: skip
    ekp.close()


def test_a_link_that_is_no_address_costs_nothing_but_itself(listener: Listener, tmp_path: Path) -> None:
    docs = [{"id": str(n), "subject": "会议", "link": link} for n, link in enumerate(["http://[", "//[x", "/ok"])]
    found = {"pageCount": 1, "docs": docs}
    listener.answer(LANDRAY, landray("getTodo", 2, json.dumps(found)))
    adapter = listening(listener, "landray.soap", tmp_path)
    assert [row.link for row in adapter.waiting(ME)] == [listener.url, listener.url, f"{listener.url}/ok"]
    adapter.close()


@pytest.mark.parametrize("told", ["[" * 100_000, '{"pageCount": "²", "docs": []}', '{"pageCount": "%s", "docs": []}'])
def test_a_list_that_is_made_to_break_is_one_that_cannot_be_read(listener: Listener, tmp_path: Path, told: str) -> None:
    listener.answer(LANDRAY, landray("getTodo", 2, told.replace("%s", "9" * 5000)))
    adapter = listening(listener, "landray.soap", tmp_path)
    with pytest.raises(Transient):
        adapter.waiting(ME)
    adapter.close()


def test_what_was_handled_is_told_by_its_moment_where_the_oa_tells_one(listener: Listener, tmp_path: Path) -> None:
    ekp = listening(listener, "landray.soap", tmp_path)
    now = clock.now().replace(microsecond=0)
    at = [local(now - timedelta(minutes=minutes)) for minutes in (1, 9)]
    rows = [row(number, appName="", id=str(number), finishTime=moment) for number, moment in enumerate(at)]
    listener.answer(LANDRAY, listed(*rows))
    [entry] = ekp.done_since(ME, now - timedelta(minutes=5))
    assert entry.request_id == "0"
    assert entry.handled_at is not None
    assert local(entry.handled_at) == at[0]
    ekp.close()


def test_a_check_lets_the_admin_know(oa_sandbox: Running, ekp: Landray) -> None:
    assert "接受了我们的请求" in ekp.check()
    oa_sandbox.state.landray.settings.password = "another"
    with pytest.raises(Configuration, match="用户名或密码"):
        ekp.check()
