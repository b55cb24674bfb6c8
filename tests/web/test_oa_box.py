"""The box OA 待办, and what an item's page says of what was handled in the OA."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine.connectors.oa.inbound import quick
from engine.connectors.oa.models import OAPoll
from engine.settings import Settings
from sandbox.oa.server import Running
from tests.dsl import Bpm, dates
from tests.engine.connectors.desks import Desk, number
from tests.web.conftest import Browser, served

pytestmark = pytest.mark.backend("sqlite")
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148"


@pytest.fixture
def client(bpm: Bpm, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the whole service."""
    bpm.deploy("leave_request")
    with served(Settings(mode="demo", var=tmp_path, secure_cookie=False), bpm.db) as found:
        yield found


@pytest.fixture
def desk(bpm: Bpm, oa_sandbox: Running) -> Desk:
    """The hospital beside an OA whose own lists are taken in."""
    return Desk(bpm, oa_sandbox, "template", poll=True)


def test_without_an_oa_there_is_no_such_box(client: httpx.Client, browser_of: Browser) -> None:
    nurse = browser_of.login("nurse")
    assert "OA 待办" not in nurse.get("/box/todo")
    nurse.get("/box/oa", 404)
    assert client.get("/api/v1/boxes/oa").status_code == 404


def test_what_waits_in_the_oa_is_one_tap_away(bpm: Bpm, desk: Desk, client: httpx.Client, browser_of: Browser) -> None:
    title = "关于<b>秋季</b>体检的通知"
    desk.product.start_own(number("nurse"), title, workflow="发文", node="阅办", sender="王敏")
    nurse = browser_of.login("nurse")
    first = nurse.get("/box/oa")  # asks for it, and looks again by itself
    assert "正在更新" in first
    assert 'hx-trigger="load delay:2s"' in first
    bpm.work()
    part = client.get("/box/oa?asked=1", headers={"HX-Request": "true"}).text
    assert "<html" not in part
    page = nurse.get("/box/oa")
    assert "关于&lt;b&gt;秋季&lt;/b&gt;体检的通知" in page
    assert "hx-trigger" not in page[page.index('id="oa"') :]
    for words in ("发文", "王敏", "阅办", desk.site.name, "刚刚更新", 'target="_blank" rel="noopener noreferrer"'):
        assert words in page
    tab = page[page.index("OA 待办<") :]
    assert tab[: tab.index("</a>")].endswith('<span class="boxes__count">1</span>')
    assert "OA 待办" in nurse.get("/box/todo")  # the tab is beside the others everywhere
    answer = client.get("/api/v1/boxes/oa").json()
    assert [(row["title"], row["oa"]) for row in answer["rows"]] == [(title, desk.site.name)]
    assert answer["next_cursor"] is None
    phone = client.get("/box/oa", headers={"User-Agent": PHONE}).text
    assert "/mobile?id=" in phone
    assert "/mobile?id=" not in page


def test_what_was_handled_there_is_the_box_s_other_view(
    bpm: Bpm, desk: Desk, client: httpx.Client, browser_of: Browser
) -> None:
    done = desk.product.start_own(number("nurse"), "会议室<i>借用</i>", workflow="借用", node="经办", sender="院办")
    over = desk.product.start_own(number("nurse"), "电脑报修")
    desk.product.start_own(number("nurse"), "还等着的")
    others = desk.product.start_own(number("doctor"), "别人办的")
    desk.product.finish_own(done.key)
    desk.product.finish_own(over.key, finished=True)
    desk.product.finish_own(others.key)
    nurse = browser_of.login("nurse")
    first = nurse.get("/box/oa?view=handled")
    assert "正在更新" in first
    asked = first[first.index('id="oa" hx-get="') :].split('"')[3].replace("&amp;", "&")
    assert asked.startswith("/box/oa?view=handled&asked=")
    bpm.work()
    part = client.get(asked, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    page = nurse.get("/box/oa?view=handled")
    for found in (part, page):
        rows = found[found.index('<ol class="rows">') : found.index("</ol>")]
        assert "会议室&lt;i&gt;借用&lt;/i&gt;" in rows
        assert rows.count('<li class="rows__item">') == 2
        assert rows.count("刚刚办理") == 2
        assert rows.count('<span class="tag tag_completed">办结</span>') == 1
        assert 'target="_blank" rel="noopener noreferrer"' in rows
        assert "90 天" in found
    assert '<a class="chip chip_act" href="/box/oa?view=handled" aria-current="page">已办</a>' in page
    assert '<span class="boxes__count">1</span>' in page, "what waits goes on being counted"
    waiting = nurse.get("/box/oa")
    assert "还等着的" in waiting
    assert "会议室" not in waiting
    answer = client.get("/api/v1/boxes/oa?view=handled").json()
    states = {row["title"]: row["state"] for row in answer["rows"]}
    assert states == {"会议室<i>借用</i>": "done", "电脑报修": "finished"}
    assert all(row["handled_at"] for row in answer["rows"])
    assert [row["handled_at"] for row in client.get("/api/v1/boxes/oa").json()["rows"]] == [None]
    assert client.get("/api/v1/boxes/oa?view=all").status_code == 422


def test_a_moment_that_the_oa_does_not_tell_is_not_made_up(bpm: Bpm, oa_sandbox: Running, browser_of: Browser) -> None:
    desk = Desk(bpm, oa_sandbox, "landray.rest", poll=True)
    own = desk.product.start_own(number("nurse"), "会议室借用")
    desk.product.finish_own(own.key)
    nurse = browser_of.login("nurse")
    nurse.get("/box/oa?view=handled")
    bpm.work()
    page = nurse.get("/box/oa?view=handled")
    assert "刚刚收到" in page
    assert "刚刚办理" not in page


def test_a_long_list_goes_on_page_by_page(bpm: Bpm, desk: Desk, client: httpx.Client, browser_of: Browser) -> None:
    for n in range(60):
        own = desk.product.start_own(number("nurse"), f"第{n:02}件")
        desk.product.finish_own(own.key)
    nurse = browser_of.login("nurse")
    nurse.get("/box/oa?view=handled")
    bpm.work()
    first = nurse.get("/box/oa?view=handled")
    more = first[first.index('href="/box/oa?view=handled&amp;cursor=') + 6 :].split('"')[0].replace("&amp;", "&")
    assert "更早的请到 OA 里查" not in first, "that stands at the end"
    last = nurse.get(more)
    assert "更早的请到 OA 里查" in last
    seen = [found.count('<li class="rows__item">') for found in (first, last)]
    assert seen == [50, 10]
    titles = {f"第{n:02}件" for n in range(60)}
    assert {each for each in titles if each in first} | {each for each in titles if each in last} == titles
    paged, cursor = list[str](), None
    while True:
        given = {"view": "handled", "limit": "25"} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/api/v1/boxes/oa", params=given).json()
        paged += [row["title"] for row in answer["rows"]]
        if (cursor := answer["next_cursor"]) is None:
            break
    assert sorted(paged) == sorted(titles)


def test_an_empty_view_says_what_will_stand_there(bpm: Bpm, desk: Desk, browser_of: Browser) -> None:
    nurse = browser_of.login("nurse")
    nurse.get("/box/oa")
    bpm.work()
    page = nurse.get("/box/oa?view=handled")
    assert "这里还没有您在 OA 办过的事" in page
    assert "下次更新就到这里" in page
    assert '<a class="btn btn_plain" href="/box/oa">' in page


def test_an_empty_box_is_kind_and_one_that_cannot_be_had_says_so(bpm: Bpm, desk: Desk, browser_of: Browser) -> None:
    nurse = browser_of.login("nurse")
    nurse.get("/box/oa")
    bpm.work()
    assert "OA 里没有等您办的事" in nurse.get("/box/oa")
    with bpm.db.unit_of_work() as session:
        row = session.get_one(OAPoll, ("ekp", bpm.person("nurse")))
        row.failures, row.error = 1, "OA 回答 HTTP 502"
    page = nurse.get("/box/oa")
    assert "现在取不到，会自动再试" in page
    assert "502" not in page


def test_the_page_says_what_was_handled_in_the_oa(bpm: Bpm, desk: Desk, browser_of: Browser) -> None:
    story = bpm.start("leave_request", by="nurse", leave_type="事假", reason="家事", **dates(3, 4))
    item = story.item("head_nurse")
    desk.product.handle(item.id.hex, number("head_nurse"), "approve", "同意")
    quick.look(bpm.db)
    bpm.work()
    head = browser_of.login("head_nurse")
    page = head.get(f"/items/{item.id}")
    assert "您已在OA处理" in page
    assert f"在{desk.site.name}办理" in page
    assert f"在{desk.site.name}办理" in browser_of.login("nurse").get(f"/instances/{story.id}")
