"""From an OA's list to the item by a ticket: the OA is asked whose it is, once, at its own host alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from engine import clock
from engine.connectors.oa.entry import passing, tickets
from engine.connectors.oa.entry.proofs import Ticket
from engine.connectors.oa.sites import Sites
from engine.errors import Unavailable
from engine.settings import Settings
from tests.dsl import Bpm, Story, dates
from tests.engine.connectors.conftest import Broken, Listener, Raw, listener
from tests.web.conftest import served
from tests.web.test_oa_entry import HEAD, another, connect, refused
from tests.web.wecom_phone import sessions, trail

pytestmark = pytest.mark.backend("sqlite")
TICKET = "canary-ticket-of-the-oa"

__all__ = ["listener"]  # a fixture of the connectors'


@pytest.fixture
def desk(bpm: Bpm, listener: Listener, tmp_path: Path) -> Iterator[httpx.Client]:
    """A browser, and an OA that gives tickets."""
    bpm.deploy("leave_request")
    ask(bpm, listener)
    with served(Settings(mode="demo", var=tmp_path, secure_cookie=False), bpm.db) as client:
        yield client


@pytest.fixture
def item(bpm: Bpm, desk: httpx.Client) -> str:
    """An item of the head nurse's."""
    story: Story = bpm.start("leave_request", by="nurse", leave_type="事假", reason="家事", **dates(3, 4))
    return story.item("head_nurse").id.hex


def ask(bpm: Bpm, listener: Listener, verify: str = "/sso/verify?t={ticket}") -> None:
    sign_on = {"kind": "ticket", "verify": verify, "account_at": "data.users.0.login"}
    connect(bpm, address=f"{listener.url}/oa", sign_on=sign_on, timeout=1)


def told(login: object) -> dict[str, object]:
    return {"data": {"users": [{"login": login}]}}


def test_the_oa_says_whose_a_ticket_is(bpm: Bpm, desk: httpx.Client, listener: Listener, item: str) -> None:
    listener.answer("/oa/sso/verify", told(HEAD))
    answer = desk.get(f"/oa/ekp/{item}?ticket={TICKET}%26x%3D1")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/items/")
    [heard] = listener.heard
    assert (heard.method, heard.query) == ("GET", {"t": f"{TICKET}&x=1"})  # nothing of it gets between our parameters
    assert [who for _, who, _ in trail(bpm, "oa_enter")] == [bpm.person("head_nurse")]
    assert TICKET not in str(trail(bpm, "login", "oa_enter"))


def test_a_number_is_an_account_too_and_an_address_may_be_named_in_full(
    bpm: Bpm, desk: httpx.Client, listener: Listener, item: str
) -> None:
    ask(bpm, listener, f"{listener.url}/other/{{ticket}}")
    listener.answer(f"/other/{TICKET}", told(int(HEAD)))
    assert desk.get(f"/oa/ekp/{item}?ticket={TICKET}").status_code == 303


def test_a_ticket_is_asked_about_once(bpm: Bpm, desk: httpx.Client, listener: Listener, item: str) -> None:
    listener.answer("/oa/sso/verify", told(HEAD))
    desk.get(f"/oa/ekp/{item}?ticket={TICKET}")
    refused(another(desk).get(f"/oa/ekp/{item}?ticket={TICKET}"), "链接已用过")
    clock.freeze(clock.now() + timedelta(hours=2))
    passing.purge(bpm.db)
    refused(another(desk).get(f"/oa/ekp/{item}?ticket={TICKET}"), "链接已用过")
    assert len(listener.heard) == 1
    assert sessions(bpm) == 1


@pytest.mark.parametrize(
    "answer",
    [
        told(None), told(""), told(True), told([HEAD]), told("a b"), told("x" * 81), {}, [], {"data": {"users": []}},
        Raw(b'{"error": "no such ticket"}', 404), Raw(b"{}", 401), Raw(b"", 302, (("Location", "https://evil.test"),)),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_oa_does_not_stand_for_lets_nobody_in(
    bpm: Bpm, desk: httpx.Client, listener: Listener, item: str, answer: object
) -> None:
    listener.answer("/oa/sso/verify", answer)
    refused(desk.get(f"/oa/ekp/{item}?ticket={TICKET}"), "没有通过核对")
    assert sessions(bpm) == 0


@pytest.mark.parametrize(
    "answer",
    [Broken(), Raw(b"<html>", 502), Raw(b"<html>down</html>", 200), Raw(b"{", 200), Raw(b"", 429)],
    ids=["broken", "502", "page", "half", "429"],
)
def test_an_oa_that_does_not_say_costs_nobody_their_login(
    bpm: Bpm, desk: httpx.Client, listener: Listener, item: str, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    listener.answer("/oa/sso/verify", answer)
    page = desk.get(f"/oa/ekp/{item}?ticket={TICKET}")
    refused(page, "OA 暂时连不上", 503)
    assert TICKET not in page.text
    assert TICKET not in caplog.text
    for number in range(passing.MOST):  # and it is no guess: nobody is locked out for it
        desk.get(f"/oa/ekp/{item}?ticket={TICKET}{number}")
    listener.answer("/oa/sso/verify", told(HEAD))
    assert desk.get(f"/oa/ekp/{item}?ticket={TICKET}x").status_code == 303


def test_an_oa_that_hangs_holds_few_threads_of_the_pages(bpm: Bpm, listener: Listener) -> None:
    """Anybody could have all of them wait, by links with tickets that were made up."""
    hanging = f"{listener.url}/cgi-bin/gettoken?t={{ticket}}"
    connect(bpm, address=listener.url, sign_on={"kind": "ticket", "verify": hanging, "account_at": "access_token"})
    [site] = [connection.site for connection in bpm.db.part(Sites) or ()]
    listener.pause.clear()
    with ThreadPoolExecutor(tickets.AT_ONCE) as pool:
        waiting = [pool.submit(tickets.whose, site, Ticket(f"{TICKET}{n}")) for n in range(tickets.AT_ONCE)]
        while listener.count("gettoken") < tickets.AT_ONCE:
            wait(waiting, 0.01)
        with pytest.raises(Unavailable, match="稍等几秒"):
            tickets.whose(site, Ticket(TICKET))
        assert listener.count("gettoken") == tickets.AT_ONCE
        listener.pause.set()
    assert all(str(each.result()).startswith("token-") for each in waiting)
    assert tickets.whose(site, Ticket(TICKET)) is not None


def test_who_tries_tickets_is_locked_out_and_the_oa_is_not_asked_any_more(
    bpm: Bpm, desk: httpx.Client, listener: Listener, item: str
) -> None:
    listener.answer("/oa/sso/verify", {})
    for number in range(passing.MOST + 5):
        answer = desk.get(f"/oa/ekp/{item}?ticket={TICKET}{number}")
    refused(answer, "次数太多", 409)
    assert len(listener.heard) == passing.MOST


@pytest.mark.parametrize(
    "ticket", ["", "short", "a b c d e f g h", "%0d%0aHost:%20evil", "x" * 513, "票票票票票票票票"]
)
def test_what_can_be_no_ticket_is_not_asked_about(
    desk: httpx.Client, listener: Listener, item: str, ticket: str
) -> None:
    refused(desk.get(f"/oa/ekp/{item}?ticket={ticket}"), "没有通过核对")
    assert listener.heard == []


@pytest.mark.parametrize("verify", ["https://evil.test/{ticket}", "//evil.test/{ticket}", "/sso/verify", ""])
def test_no_other_host_is_asked(bpm: Bpm, listener: Listener, verify: str) -> None:
    with pytest.raises(ValidationError):
        ask(bpm, listener, verify)
