"""From an OA's list to the item: who comes with the OA's signature is let in, once, and nobody else."""

import hashlib
import hmac
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import delete, select

from engine import clock
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.entry import passing
from engine.connectors.oa.models import OAAccount, OAPass, OARefusal
from engine.connectors.oa.sites import Connection, Sites
from engine.org.demo import CAST
from engine.settings import Settings
from tests.dsl import Bpm, Story, dates
from tests.web.conftest import served
from tests.web.wecom_phone import change, sessions, trail

pytestmark = pytest.mark.backend("sqlite")
SECRET = "canary-common-secret-of-both"
NURSE, HEAD = CAST["nurse"].staff_number, CAST["head_nurse"].staff_number


class Unasked:
    """An OA that nobody asks anything: who comes from it is let in by what they bring."""

    polls = quick = False

    def close(self) -> None:
        pass


def connect(bpm: Bpm, **more: Any) -> None:
    """Let one OA send people here."""
    sign_on = {"kind": "signed", "secret": SECRET, **more.pop("sign_on", {})}
    given = {"code": "ekp", "folder": Path(), "kind": "test", "name": "集团 OA", "address": "https://oa.test"}
    site = Site.model_validate({**given, "sign_on": sign_on, **more})
    bpm.db.provide(Sites({"ekp": Connection(site, Unasked())}, "http://testserver"))  # type: ignore[arg-type]


@pytest.fixture
def desk(bpm: Bpm, tmp_path: Path) -> Iterator[httpx.Client]:
    """A browser that nobody is logged in in."""
    bpm.deploy("leave_request")
    connect(bpm)
    with served(Settings(mode="demo", var=tmp_path, secure_cookie=False), bpm.db) as client:
        yield client


@pytest.fixture
def story(bpm: Bpm, desk: httpx.Client) -> Story:
    """A leave that the head nurse is to approve."""
    return bpm.start("leave_request", by="nurse", leave_type="事假", reason="回家探亲", **dates(3, 4))


def another(desk: httpx.Client) -> httpx.Client:
    """A browser of somebody else."""
    return httpx.Client(transport=desk._transport, base_url=desk.base_url)


def link(item: uuid.UUID, account: str, *, secret: str = SECRET, md5: bool = False, **more: str) -> str:
    """What the OA's jump page makes of our link."""
    at = str(int(clock.now().timestamp() * 1000))
    parts = {"account": account, "at": at, "nonce": uuid.uuid4().hex} | more
    text = f"{parts['account']}\n{parts['at']}\n{parts['nonce']}\n{item.hex}".encode()
    if md5:
        sign = hashlib.md5(text + secret.encode()).hexdigest()
    else:
        sign = hmac.new(secret.encode(), text, "sha256").hexdigest()
    return f"/oa/ekp/{item.hex}?{urlencode({'sign': sign} | parts)}"


def refused(answer: httpx.Response, heading: str, status: int = 403) -> None:
    """The answer is a page that says why and offers the ordinary way."""
    assert answer.status_code == status, answer.text
    assert heading in answer.text
    assert SECRET not in answer.text
    assert "piyue=" not in str(answer.headers.get_list("set-cookie"))


# -- in, and on to the item


def test_who_clicks_in_the_oa_is_on_the_item_logged_in(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    answer = desk.get(link(item.id, HEAD))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/items/{item.id}")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("piyue="))
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    page = desk.get(answer.headers["location"])
    assert page.status_code == 200
    assert "同意" in page.text
    (login, who, by), (enter, whose, detail) = trail(bpm, "login", "oa_enter")
    assert (login, who, by["oa"]) == ("login", bpm.person("head_nurse"), "ekp")
    assert (enter, whose) == ("oa_enter", bpm.person("head_nurse"))
    assert (detail["site"], detail["account"], detail["item"]) == ("ekp", HEAD, item.id.hex)


def test_an_md5_signature_is_taken_where_the_oa_has_nothing_better(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    refused(desk.get(link(item.id, HEAD, md5=True)), "没有通过核对")
    connect(bpm, sign_on={"algorithm": "md5"})
    refused(desk.get(link(item.id, HEAD)), "没有通过核对")
    assert desk.get(link(item.id, HEAD, md5=True)).status_code == 303


def test_an_item_that_is_over_leads_to_what_became_of_it(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    story.approve(by="head_nurse")
    assert desk.get(link(item.id, HEAD)).headers["location"] == f"/instances/{story.id}"
    assert desk.get(f"/instances/{story.id}").status_code == 200


def test_an_item_that_is_none_of_ones_business_is_not_there(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    """Neither the way there nor the page tells an item that is hidden from one that never was."""
    item, other = story.item("head_nurse"), uuid.uuid4()
    story.approve(by="head_nurse")
    number = CAST["surgeon"].staff_number
    ways = [desk.get(link(item.id, number)), another(desk).get(link(other, number))]
    assert [way.headers["location"] for way in ways] == [f"/items/{item.id}", f"/items/{other}"]
    pages = [desk.get(f"/items/{id_}") for id_ in (item.id, other)]
    assert [page.status_code for page in pages] == [404, 404]


def test_without_a_signature_the_login_keeps_where_one_was_going(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    answer = desk.get(f"/oa/ekp/{item.id.hex}")
    assert answer.headers["location"] == f"/login?next=%2Foa%2Fekp%2F{item.id.hex}"
    answer = desk.post("/login", data={"number": HEAD, "next": f"/oa/ekp/{item.id.hex}"})
    assert answer.headers["location"] == f"/oa/ekp/{item.id.hex}"
    assert desk.get(answer.headers["location"]).headers["location"] == f"/items/{item.id}"


def test_a_site_without_sign_on_or_that_is_gone_leads_by_the_login(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    bpm.db.provide(Sites({}, "http://testserver"))
    answer = desk.get(link(item.id, HEAD))
    assert answer.headers["location"] == f"/login?next=%2Foa%2Fekp%2F{item.id.hex}"
    assert sessions(bpm) == 0


def test_who_is_logged_in_already_goes_straight_on_also_by_an_old_link(
    bpm: Bpm, desk: httpx.Client, story: Story
) -> None:
    item = story.item("head_nurse")
    old = link(item.id, HEAD)
    desk.get(old)
    session = desk.cookies["piyue"]
    assert desk.get(old).headers["location"] == f"/items/{item.id}"
    clock.freeze(clock.now() + timedelta(hours=1))
    assert desk.get(old).headers["location"] == f"/items/{item.id}"
    assert desk.cookies["piyue"] == session
    assert len(trail(bpm, "oa_enter")) == 1


# -- another person's link


def test_another_persons_link_asks_before_it_changes_who_one_is(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    """Somebody who sends a link of their own to a colleague doesn't have them act under a wrong name unawares."""
    item = story.item("head_nurse")
    desk.post("/login", data={"number": NURSE, "next": "/"})
    before = desk.cookies["piyue"]
    answer = desk.get(link(item.id, HEAD))
    assert answer.status_code == 200
    assert CAST["nurse"].name in answer.text
    assert f"以{CAST['head_nurse'].name}登录" in answer.text
    assert desk.cookies["piyue"] == before
    fields = dict(_hidden(answer.text))
    answer = desk.post(f"/oa/ekp/{item.id.hex}", data=fields)
    assert answer.headers["location"] == f"/items/{item.id}"
    assert desk.cookies["piyue"] != before
    assert CAST["head_nurse"].name in desk.get("/account").text
    assert another(desk).get("/account", headers={"Cookie": f"piyue={before}"}).status_code == 303  # it has ended
    # and the form is good once: it was that session's
    assert another(desk).post(f"/oa/ekp/{item.id.hex}", data=fields).headers["location"].startswith("/login")


def test_the_form_takes_nobody_else_over(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    desk.post("/login", data={"number": NURSE, "next": "/"})
    before = desk.cookies["piyue"]
    fields = dict(_hidden(desk.get(link(item.id, HEAD)).text))
    forged = {"person": str(bpm.person("surgeon")), "account": CAST["surgeon"].staff_number}
    for field in ("person", "account", "offer", "_csrf"):
        answer = desk.post(f"/oa/ekp/{item.id.hex}", data=fields | {field: forged.get(field, "0" * 74)})
        assert answer.status_code == 403, field
    other = uuid.uuid4()
    assert desk.post(f"/oa/ekp/{other.hex}", data=fields).status_code == 403
    clock.freeze(clock.now() + passing.OFFER_LASTS + timedelta(seconds=1))
    assert desk.post(f"/oa/ekp/{item.id.hex}", data=fields).status_code == 403
    assert desk.cookies["piyue"] == before
    assert trail(bpm, "oa_enter") == []


def test_another_site_cannot_send_the_form(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    desk.post("/login", data={"number": NURSE, "next": "/"})
    fields = dict(_hidden(desk.get(link(item.id, HEAD)).text))
    answer = desk.post(f"/oa/ekp/{item.id.hex}", data=fields, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def _hidden(page: str) -> Iterator[tuple[str, str]]:
    for tag in re.findall(r'<input type="hidden"[^>]*>', page):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value:
            yield name[1], value[1]


# -- what isn't good


def test_a_signature_is_good_once(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    way = link(item.id, HEAD)
    assert desk.get(way).status_code == 303
    refused(another(desk).get(way), "链接已用过")
    upper = way.replace(way[way.index("sign=") + 5 :][:64], way[way.index("sign=") + 5 :][:64].upper())
    refused(another(desk).get(upper), "链接已用过")  # the same signature in other letters
    assert sessions(bpm) == 1


def test_a_signature_is_good_for_minutes_before_and_after(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item, now = story.item("head_nurse"), clock.now()

    def signed(seconds: float) -> str:
        return link(item.id, HEAD, at=str(int((now + timedelta(seconds=seconds)).timestamp() * 1000)))

    clock.freeze(now)
    refused(desk.get(signed(-301)), "链接已过期")
    refused(desk.get(signed(301)), "链接已过期")
    assert another(desk).get(signed(-299)).status_code == 303
    assert another(desk).get(signed(299)).status_code == 303
    refused(desk.get(signed(-301)), "链接已过期")
    with bpm.db.reading() as session:
        assert session.scalars(select(OARefusal)).all() == []  # an old link isn't a guess


def test_a_signature_for_one_item_does_not_open_another(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    refused(desk.get(link(item.id, HEAD).replace(item.id.hex, uuid.uuid4().hex)), "没有通过核对")


CHANGED = (
    ("account", NURSE),
    ("account", ""),
    ("account", f"{HEAD}%0A"),
    ("account", f"{HEAD}&account={NURSE}"),
    ("account", "%00"),
    ("account", "%ff"),
    ("account", "a" * 81),
    ("at", "0"),
    ("at", "99999999999999999999"),
    ("at", "%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7%D9%A8%D9%A9%D9%A0%D9%A1%D9%A2%D9%A3"),  # digits, but not ours
    ("nonce", "x"),
    ("nonce", "a%20b%20c%20d%20e"),
    ("sign", ""),
    ("sign", "0" * 64),
    ("sign", "z" * 64),
    ("sign", "0" * 63),
    ("sign", "0" * 8000),
)


def test_what_was_changed_on_the_way_is_refused(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    for name, value in CHANGED:
        path, _, query = link(item.id, HEAD).partition("?")
        kept = [part for part in query.split("&") if not part.startswith(f"{name}=")]
        refused(desk.get(f"{path}?{'&'.join([*kept, f'{name}={value}'])}"), "没有通过核对")
        if value:
            refused(desk.get(f"{path}?{'&'.join(kept)}"), "没有通过核对")
        with bpm.db.unit_of_work() as session:
            session.execute(delete(OARefusal))  # too many would be locked out
    assert sessions(bpm) == 0


def test_a_query_of_a_thousand_parts_is_refused(desk: httpx.Client, story: Story) -> None:
    way = link(story.item("head_nurse").id, HEAD)
    refused(desk.get(way + "&x=1" * 1000), "没有通过核对")


def test_who_guesses_is_locked_out_from_their_address_and_nobody_else(
    bpm: Bpm, desk: httpx.Client, story: Story
) -> None:
    item = story.item("head_nurse")
    guess = partial(link, item.id, HEAD, secret="a-guess-of-the-secret")
    for _ in range(passing.MOST):
        refused(desk.get(guess()), "没有通过核对")
    refused(desk.get(guess()), "次数太多", 409)
    with bpm.db.unit_of_work() as session:
        [row] = session.scalars(select(OARefusal)).all()
        assert (row.site, row.failures) == ("ekp", passing.MOST)
        row.source = "192.0.2.7"  # they were somewhere else
    refused(desk.get(guess()), "没有通过核对")


def test_a_page_full_of_wrong_links_keeps_nobody_at_its_address_out(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    """All of a hospital may come from one address, and pictures on any page can point here."""
    item = story.item("head_nurse")
    for _ in range(passing.MOST + 1):
        another(desk).get(f"/oa/ekp/{item.id.hex}?account=x")
    assert desk.get(link(item.id, HEAD)).status_code == 303


def test_the_lock_ends_and_counting_begins_anew(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    for _ in range(passing.MOST):
        desk.get(link(item.id, HEAD, secret="a-guess-of-the-secret"))
    clock.freeze(clock.now() + passing.LOCKED_FOR + timedelta(seconds=1))
    refused(desk.get(link(item.id, HEAD, secret="a-guess-of-the-secret")), "没有通过核对")
    assert desk.get(link(item.id, HEAD)).status_code == 303


def test_what_is_over_is_deleted(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    desk.get(link(item.id, HEAD, secret="a-guess-of-the-secret"))
    way = link(item.id, HEAD)
    desk.get(way)
    passing.purge(bpm.db)
    refused(another(desk).get(way), "链接已用过")
    clock.freeze(clock.now() + timedelta(hours=1))
    passing.purge(bpm.db)
    with bpm.db.reading() as session:
        assert session.scalars(select(OAPass)).all() == []
        assert session.scalars(select(OARefusal)).all() == []
    refused(another(desk).get(way), "链接已过期")


# -- who


def test_who_the_oa_knows_and_we_do_not_is_told_so(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    answer = desk.get(link(story.item("head_nurse").id, "nobody"))
    refused(answer, "账号没有对应的职工")
    assert "账号对照" in answer.text


def test_who_is_disabled_is_not_let_in(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    change(bpm, "head_nurse", disabled_at=clock.now())
    refused(desk.get(link(item.id, HEAD)), "账号没有对应的职工")


def test_a_system_account_is_nobody(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    change(bpm, "head_nurse", system=True)
    refused(desk.get(link(item.id, HEAD)), "账号没有对应的职工")


def test_an_unproven_link_never_tells_whether_an_account_exists(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    change(bpm, "nurse", disabled_at=clock.now())
    answers = [desk.get(link(item.id, who, secret="a-guess-of-the-secret")) for who in (HEAD, NURSE, "nobody")]
    assert len({(answer.status_code, _without_nonce(answer.text)) for answer in answers}) == 1


def _without_nonce(page: str) -> str:
    return re.sub(r'nonce="[^"]*"', "", page)


def test_the_table_of_accounts_comes_before_our_own_records(bpm: Bpm, desk: httpx.Client, story: Story) -> None:
    item = story.item("head_nurse")
    with bpm.db.unit_of_work() as session:
        given = {"site": "ekp", "person_id": bpm.person("head_nurse"), "set_at": clock.now()}
        session.add(OAAccount(**given, account="OuYang", account_key="ouyang"))
    refused(desk.get(link(item.id, HEAD)), "账号没有对应的职工")
    assert desk.get(link(item.id, "ouyang")).headers["location"] == f"/items/{item.id}"


@pytest.mark.parametrize("who", ["system_admin", "process_admin", "auditor", "designer"])
def test_an_oa_does_not_hand_out_the_rights_of_admins(bpm: Bpm, desk: httpx.Client, story: Story, who: str) -> None:
    answer = desk.get(link(story.item("head_nurse").id, CAST[who].staff_number))
    refused(answer, "请用密码登录")
    assert trail(bpm, "login", "oa_enter") == []
