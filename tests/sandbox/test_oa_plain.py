"""The plain OA of the stand-in: one request for all states, lists in pages, quick approval."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from sandbox.oa.records import ZONE
from sandbox.oa.server import Running
from sandbox.oa.state import State
from tests.sandbox.oas import HEAD_NURSE, NURSE, STRANGER, Plain, http, states


@pytest.fixture
def state(oa_sandbox: Running) -> State:
    """What the OAs know."""
    return oa_sandbox.state


@pytest.fixture
def plain(oa_sandbox: Running) -> Plain:
    """A system with the token."""
    return Plain(oa_sandbox)


def item(**other: Any) -> dict[str, Any]:
    """Return the fields of the nurse's item."""
    return {"user": NURSE, "state": "todo", "title": "年假申请", "stamp": 1000} | other


def test_an_item_goes_through_all_its_states(state: State, plain: Plain) -> None:
    link = {
        "link": "http://piyue/items/k1",
        "node": "护士长审批",
        "urgency": 2,
        "received_at": "2026-11-26T10:00:00+0800",
    }
    assert plain.put("k/1", **item(**link)).json() == {"ok": True, "changed": True}
    [row] = state.plain.rows()
    assert (row.key, row.node, row.urgency, row.notified) == ("k/1", "护士长审批", 2, 1)
    [told] = plain.get("todos", user=NURSE).json()["items"]
    assert (told["key"], told["state"], told["received_at"]) == ("k/1", "todo", "2026-11-26T10:00:00+08:00")
    for number, shown in enumerate(("read", "done", "finished", "todo"), 1001):
        plain.put("k/1", **item(state=shown, stamp=number))
        assert states(state.plain.rows()) == [("k/1", NURSE, shown)]
    plain.put("k/1", **item(state="deleted", stamp=2000))
    assert state.plain.rows() == []
    assert plain.put("k/1", **item(state="deleted", stamp=2001)).json() == {"ok": True, "changed": False}


def test_an_older_write_changes_nothing_even_of_what_is_deleted(state: State, plain: Plain) -> None:
    plain.put("k1", **item(state="done", stamp=2000))
    assert plain.put("k1", **item(stamp=1999)).json() == {"ok": True, "changed": False}
    assert states(state.plain.rows()) == [("k1", NURSE, "done")]
    plain.put("k1", **item(state="deleted", stamp=3000))
    assert plain.put("k1", **item(stamp=2999)).json()["changed"] is False
    assert state.plain.rows() == []
    plain.put("k1", **item(stamp=3001))
    assert states(state.plain.rows()) == [("k1", NURSE, "todo")]


def test_a_quiet_write_does_not_notify(state: State, plain: Plain) -> None:
    plain.put("k1", **item(quiet=True))
    plain.put("k1", **item(stamp=1001))  # it waits already
    plain.put("k1", **item(state="done", stamp=1002))
    plain.put("k1", **item(stamp=1003))
    assert state.plain.rows()[0].notified == 1


def test_the_lists_come_in_pages(state: State, plain: Plain) -> None:
    for number in range(5):
        plain.put(f"k{number}", **item(received_at=f"2026-11-26T10:00:0{number}"))
    first = plain.get("todos", user=NURSE, size="3").json()
    assert ([row["key"] for row in first["items"]], first["more"]) == (["k4", "k3", "k2"], True)
    last = plain.get("todos", user=NURSE, size="3", page="2").json()
    assert ([row["key"] for row in last["items"]], last["more"]) == (["k1", "k0"], False)


def test_the_oas_own_items_are_told_apart(oa_sandbox: Running, state: State, plain: Plain) -> None:
    plain.put("k1", **item())
    own = state.plain.start_own(NURSE, "公文传阅", state="read")
    [told] = plain.get("own", user=NURSE).json()["items"]
    assert (told["id"], told["title"], told["state"]) == (own.id, "公文传阅", "read")
    with http(oa_sandbox) as browser:
        assert "公文传阅" in browser.get(told["link"]).text
    before = datetime.now(ZONE) - timedelta(minutes=1)
    assert plain.get("own", user=NURSE, since=before.isoformat()).json()["items"] == []
    state.plain.finish_own(own.key)
    assert plain.get("own", user=NURSE).json()["items"] == []
    [done] = plain.get("own", user=NURSE, since=before.isoformat()).json()["items"]
    assert (done["id"], done["state"]) == (own.id, "done")


def test_what_is_handled_in_the_oa_is_told_since_a_moment(state: State, plain: Plain) -> None:
    for key in ("k1", "k2", "k3"):
        plain.put(key, **item())
    plain.put("k4", **item(user=HEAD_NURSE))
    plain.put("k3", **item(state="done", stamp=2000))  # not in the OA
    state.plain.handle("k1", NURSE, "approve", "同意")
    state.advance(60)
    later = datetime.fromtimestamp(state.now(), ZONE)
    state.plain.handle("k2", NURSE, "reject")
    state.plain.handle("k4", HEAD_NURSE)
    plain.put("k1", **item(state="done", stamp=3000))  # the product's own word of it changes nothing
    everything = plain.get("handled", since="2026-01-01T00:00:00").json()["items"]
    assert [(row["key"], row["user"], row["outcome"], row["opinion"]) for row in everything] == [
        ("k1", NURSE, "approve", "同意"),
        ("k2", NURSE, "reject", ""),
        ("k4", HEAD_NURSE, "", ""),
    ]
    assert [row["key"] for row in plain.get("handled", since=later.isoformat()).json()["items"]] == ["k2", "k4"]
    assert [row["key"] for row in plain.get("handled", since=later.isoformat(), user=NURSE).json()["items"]] == ["k2"]
    plain.put("k1", **item(stamp=4000))  # waits again
    assert "k1" not in plain.get("handled", since="2026-01-01T00:00:00").text


@pytest.mark.parametrize(
    ("given", "code"),
    [({"user": STRANGER}, "unknown_user"), ({"state": "open"}, "bad_state"), ({"title": ""}, "no_title")],
)
def test_it_says_why_it_refuses(state: State, plain: Plain, given: dict[str, str], code: str) -> None:
    answer = plain.put("k1", **item(**given))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert state.plain.rows() == []
    assert plain.get("handled", since="yesterday").status_code == 422


def test_who_may_not_come_in_is_told_which_of_three(oa_sandbox: Running, state: State, plain: Plain) -> None:
    assert plain.get("ping").json()["ok"] is True
    assert Plain(oa_sandbox, "wrong").get("ping").status_code == 401
    state.plain.settings.registered = False
    assert plain.put("k1", **item()).json()["code"] == "not_registered"
    state.plain.settings.addresses = {"10.0.0.1"}
    assert plain.put("k1", **item()).json()["code"] == "not_allowed"
    assert state.plain.rows() == []
