"""The phone page in a real browser: members get what an app sends, press it, open it; testers make things go wrong."""

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from engine.org.demo import CAST
from engine.settings import ROOT
from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.app import SmallApp
from tests.sandbox.webview import webview

pytestmark = pytest.mark.browser

NURSE, HEAD = CAST["nurse"], CAST["head_nurse"]
BUTTONS = {
    "card_type": "button_interaction",
    "task_id": "leave-1",
    "source": {"desc": "批阅"},
    "main_title": {"title": "请假申请", "desc": "年休假 3 天"},
    "horizontal_content_list": [
        {"keyname": "申请人", "value": NURSE.name, "type": 3, "userid": NURSE.staff_number},
        {"keyname": "起止", "value": "12月1日 至 12月3日"},
    ],
    "button_list": [
        {"text": "同意", "style": 1, "key": "outcome:approve"},
        {"text": "详情", "style": 3, "type": 1, "url": "http://127.0.0.1/items/1"},
    ],
}
Phones = Callable[..., Page]


@pytest.fixture
def office(wecom_sandbox: Running) -> Iterator[SmallApp]:
    """An app that the corp uses."""
    app = SmallApp(wecom_sandbox)
    yield app
    app.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A plain browser on a desk; nothing may be complained of."""
    opened = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai", reduced_motion="reduce"
    )
    yield opened
    opened.close()


@pytest.fixture
def phones(wecom_sandbox: Running, context: BrowserContext) -> Iterator[Phones]:
    """Open the page with the phones of one or two members of the cast."""
    problems: list[str] = []

    def show(*who: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        names = zip(("as", "and"), who, strict=False)
        page.goto(f"{wecom_sandbox.url}/phone?" + "&".join(f"{name}={CAST[key].staff_number}" for name, key in names))
        return page

    yield show
    assert [said for said in problems if "409" not in said] == []


def phone(page: Page, who: str) -> Locator:
    """Return a member's phone on the page."""
    return page.locator(f'[data-phone="{CAST[who].staff_number}"]')


def test_a_card_is_pressed_and_changes_for_both(office: SmallApp, phones: Phones) -> None:
    page = phones("nurse", "head_nurse")
    expect(phone(page, "head_nurse")).to_contain_text("还没有消息")
    office.send("template_card", BUTTONS, NURSE.staff_number, HEAD.staff_number)
    agree = phone(page, "head_nurse").get_by_role("button", name="同意")
    agree.click()
    expect(agree).to_be_disabled()
    event = office.heard()
    assert [event[name] for name in ("Event", "EventKey", "TaskId", "FromUserName", "CardType")] == [
        "template_card_event", "outcome:approve", "leave-1", HEAD.staff_number, "button_interaction",
    ]  # fmt: skip
    expect(agree).to_have_class(re.compile("is-busy"))
    office.update(event["ResponseCode"], NURSE.staff_number, HEAD.staff_number, button={"replace_name": "已同意"})
    for who in ("nurse", "head_nurse"):
        expect(phone(page, who).locator(".is-replaced")).to_have_text("已同意")
        expect(phone(page, who).get_by_role("button", name="同意")).to_have_count(0)


def test_a_card_that_the_app_changes_wholly(office: SmallApp, phones: Phones) -> None:
    page = phones("nurse")
    sent = office.send("template_card", BUTTONS, NURSE.staff_number)
    expect(page.locator(".message")).to_have_count(1)
    done = {"card_type": "text_notice", "main_title": {"title": "请假申请已同意"}, "sub_title_text": "由护士长同意"}
    card = done | {"card_action": {"type": 1, "url": f"{office.url}/items/1"}}
    office.update(sent["response_code"], NURSE.staff_number, template_card=card)
    expect(page.locator(".card-title")).to_have_text("请假申请已同意")
    expect(page.locator(".message")).to_have_count(1)
    expect(page.locator(".card-buttons")).to_have_count(0)


def test_a_date_is_not_torn_in_two(office: SmallApp, phones: Phones) -> None:
    rows = [{"keyname": "内容", "value": f"{'假' * n}，11-27 起"} for n in range(1, 20)]
    office.send("template_card", BUTTONS | {"horizontal_content_list": rows[-6:]}, NURSE.staff_number)
    office.send("template_card", BUTTONS | {"task_id": "2", "horizontal_content_list": rows[:6]}, NURSE.staff_number)
    dates = phones("nurse").locator(".card-pairs .whole")
    expect(dates).to_have_count(12)
    lines = dates.evaluate_all("found => found.map(date => date.getClientRects().length)")
    assert lines == [1] * 12


def test_an_app_that_does_not_answer(office: SmallApp, phones: Phones, wecom_sandbox: Running) -> None:
    wecom_sandbox.control.limits(callback_pause=0.0)
    office.send("template_card", BUTTONS, NURSE.staff_number)
    page = phones("nurse")
    office.close()
    page.get_by_role("button", name="同意").click()
    expect(page.get_by_role("alert")).to_have_text("应用没有响应，请稍后再试")
    expect(page.get_by_role("button", name="同意")).to_be_enabled()


def test_choices_reach_the_app(office: SmallApp, phones: Phones) -> None:
    page = phones("nurse")
    options = [{"id": "sat", "text": "周六晚"}, {"id": "sun", "text": "周日午"}, {"id": "no", "text": "都不方便"}]
    vote = {
        "card_type": "vote_interaction",
        "task_id": "vote",
        "main_title": {"title": "聚餐选哪一天"},
        "checkbox": {"question_key": "day", "mode": 1, "option_list": options},
        "submit_button": {"text": "提交投票", "key": "vote"},
    }
    office.send("template_card", vote, NURSE.staff_number)
    page.get_by_label("周六晚").check()
    office.send("text", {"content": "另一条消息"}, NURSE.staff_number)  # what has been chosen stays
    expect(page.locator(".message")).to_have_count(2)
    page.get_by_label("周日午").check()
    page.get_by_role("button", name="提交投票").click()
    assert office.heard()["chosen"] == {"day": ["sat", "sun"]}
    multiple = {
        "card_type": "multiple_interaction",
        "task_id": "travel",
        "main_title": {"title": "外出培训登记"},
        "select_list": [
            {"question_key": "by", "title": "出行方式", "option_list": options[:2]},
            {"question_key": "stay", "title": "是否住宿", "selected_id": "no", "option_list": options},
        ],
        "submit_button": {"text": "提交登记", "key": "go"},
    }
    office.send("template_card", multiple, NURSE.staff_number)
    page.get_by_label("出行方式").select_option("sun")
    page.get_by_role("button", name="提交登记").click()
    event = office.heard()
    assert event["chosen"] == {"by": ["sun"], "stay": ["no"]}
    office.update(event["ResponseCode"], NURSE.staff_number, button={"replace_name": "已登记"})
    expect(page.locator(".is-replaced")).to_have_text("已登记")
    expect(page.get_by_label("出行方式")).to_be_disabled()
    expect(page.get_by_label("出行方式")).to_have_value("sun")


def test_the_menu_of_a_card(office: SmallApp, phones: Phones) -> None:
    menu = {"desc": "减少打扰", "action_list": [{"text": "不再提醒", "key": "mute"}]}
    notice = {"card_type": "text_notice", "task_id": "note", "main_title": {"title": "已同意"}, "action_menu": menu}
    office.send("template_card", notice | {"card_action": {"type": 1, "url": office.url}}, NURSE.staff_number)
    page = phones("nurse")
    page.locator(".card-menu summary").click()
    page.get_by_role("button", name="不再提醒").click()
    event = office.heard()
    assert (event["Event"], event["EventKey"]) == ("template_card_menu_event", "mute")


def test_every_kind_of_message(office: SmallApp, phones: Phones) -> None:
    page, to, url = phones("nurse"), NURSE.staff_number, office.url
    office.send("text", {"content": f'第一行\n<a href="{url}/a">打开</a><img src=x onerror=alert(1)>'}, to)
    markdown = '# 每日待办\n<font color="warning">2 件逾期</font>，**快办** `请假`\n> 引用\n'
    markdown += f"[列表]({url}/b) [坏](javascript:x)"
    office.send("markdown", {"content": markdown}, to)
    card = {
        "title": "会议",
        "description": '<div class="gray">周三</div><b>改期</b>',
        "url": f"{url}/c",
        "btntxt": "确认",
    }
    office.send("textcard", card, to)
    office.send(
        "news", {"articles": [{"title": "元旦值班", "url": f"{url}/d"}, {"title": "升级公告", "url": f"{url}/e"}]}, to
    )
    news = {
        "card_type": "news_notice",
        "task_id": "news",
        "main_title": {"title": "新院区启用"},
        "image_text_area": {
            "type": 1,
            "url": f"{url}/f",
            "title": "搬迁时间表",
            "desc": "共 6 批",
            "image_url": f"{url}/p",
        },
        "vertical_content_list": [{"title": "第一批", "desc": "行政"}],
        "quote_area": {"title": "院长说", "quote_text": "按时搬"},
        "emphasis_content": {"title": "6 批", "desc": "12 月"},
        "jump_list": [{"type": 1, "title": "全部公告", "url": f"{url}/g"}],
        "card_action": {"type": 1, "url": f"{url}/h"},
    }
    office.send("template_card", news, to)
    gone = office.send("text", {"content": "说错了"}, to)
    expect(page.locator(".message")).to_have_count(6)
    text, digest, told, articles, notice, wrong = page.locator(".message").all()
    expect(text.locator(".bubble")).to_have_text("第一行打开<img src=x onerror=alert(1)>")
    assert opens(text.get_by_role("link", name="打开")) == f"{url}/a"
    expect(digest.locator(".heading")).to_have_text("每日待办")
    expect(digest.locator(".text-warning")).to_have_text("2 件逾期")
    expect(digest.locator("strong")).to_have_text("快办")
    expect(digest.locator("code")).to_have_text("请假")
    expect(digest.locator("blockquote")).to_have_text("引用")
    expect(digest.get_by_role("link")).to_have_count(1)
    expect(told.locator(".textcard-text")).to_have_text("周三<b>改期</b>")
    assert opens(told.get_by_role("link", name="确认")) == f"{url}/c"
    expect(articles.get_by_role("link")).to_have_text(["元旦值班", "升级公告"])
    for said in (
        "新院区启用",
        "搬迁时间表",
        "共 6 批",
        "第一批",
        "行政",
        "院长说",
        "按时搬",
        "6 批",
        "12 月",
        "全部公告",
    ):
        expect(notice).to_contain_text(said)
    assert [opens(link) for link in notice.get_by_role("link").all()] == [f"{url}/f", f"{url}/h", f"{url}/g"]
    expect(wrong).to_contain_text("说错了")
    office.call("message/recall", {"msgid": gone["msgid"]})
    expect(wrong).to_have_text(re.compile("批阅 撤回了一条消息"))


def test_new_messages_are_counted_until_they_are_seen(office: SmallApp, phones: Phones) -> None:
    page = phones("nurse")
    for number in range(3):
        office.send("text", {"content": f"第 {number} 条"}, HEAD.staff_number)
    page.locator(".switcher summary").click()
    row = page.locator(f'[data-person="{HEAD.staff_number}"]')
    expect(row.locator(".count")).to_have_text("3")
    row.click()
    expect(phone(page, "head_nurse").locator(".message")).to_have_count(3)
    page.locator(".switcher summary").click()
    expect(row.locator(".count")).to_be_hidden()


def test_anybody_of_the_corp_is_found(office: SmallApp, phones: Phones, wecom_sandbox: Running) -> None:
    everybody = [
        m for m in wecom_sandbox.state.members.values() if m.userid not in {c.staff_number for c in CAST.values()}
    ]
    wanted = everybody[-1]
    page = phones("nurse", "head_nurse")
    mine = phone(page, "nurse")
    mine.locator(".switcher summary").click()
    mine.get_by_label("查找同事").fill(wanted.userid)
    mine.locator(f'[data-person="{wanted.userid}"]').click()
    expect(page.locator("[data-phone]")).to_have_count(2)
    expect(page.locator(f'[data-phone="{wanted.userid}"] .switcher summary')).to_contain_text(wanted.name)
    expect(phone(page, "head_nurse")).to_be_visible()


def test_workbench_and_groups(office: SmallApp, phones: Phones) -> None:
    page, agent = phones("nurse"), {"agentid": constants.AGENT_ID, "type": "keydata"}
    page.get_by_role("button", name="工作台").click()
    figures = [{"key": key, "data": "0"} for key in ("待办", "待阅", "我发起", "逾期")]
    office.call("agent/set_workbench_template", agent | {"keydata": {"items": figures}})
    expect(page.locator(".figures")).to_have_text(re.compile(r"0\s*待办\s*0\s*待阅\s*0\s*我发起\s*0\s*逾期"))
    own = [{"key": "待办", "data": "12", "jump_url": f"{office.url}/box/todo"}, *figures[1:]]
    office.call("agent/set_workbench_data", agent | {"userid": NURSE.staff_number, "keydata": {"items": own}})
    todo = page.locator(".figures").get_by_role("link", name="12 待办")
    assert opens(todo) == f"{office.url}/box/todo"
    people = [NURSE.staff_number, HEAD.staff_number]
    chat = office.call("appchat/create", {"name": "请假讨论", "owner": people[0], "userlist": people, "chatid": "c1"})
    said = {"chatid": chat["chatid"], "msgtype": "text", "text": {"content": "已建群"}}
    office.call("appchat/send", said)
    tab = page.get_by_role("button", name="群聊")
    expect(tab.locator(".dot")).to_have_text("1")
    tab.click()
    page.get_by_role("button", name="请假讨论").click()
    expect(page.locator("[data-title]")).to_have_text("请假讨论（2）")
    expect(page.locator("[data-room=c1]:not([data-phone]) .bubble")).to_have_text("已建群")
    expect(tab.locator(".dot")).to_be_hidden()


def test_a_link_opens_as_the_member(office: SmallApp, phones: Phones) -> None:
    page = phones("nurse", "head_nurse")
    office.send(
        "text",
        {"content": f'<a href="{office.url}/items/7?tab=1#return">去办理</a>'},
        NURSE.staff_number,
        HEAD.staff_number,
    )
    for who in ("nurse", "head_nurse", "nurse"):  # in one browser, in turn
        with page.expect_popup() as opened:
            phone(page, who).get_by_role("link", name="去办理").click()
        expected = f"{CAST[who].staff_number} 打开 /items/7?tab=1#return"
        expect(opened.value.get_by_role("heading")).to_have_text(expected)
        assert opened.value.evaluate("[innerWidth, innerHeight]") == [390, 844]
        opened.value.close()


def test_a_link_in_wecoms_own_browser(office: SmallApp, browser: Browser) -> None:
    context = webview(browser, office.sandbox.url, NURSE.staff_number)
    page = context.new_page()
    page.goto(f"{office.sandbox.url}/webview?as={HEAD.staff_number}&url={office.url}/items/7")
    assert page.url == f"{office.url}/items/7"
    login = f"appid={constants.CORP_ID}&response_type=code&scope=snsapi_base&state=a1&agentid={constants.AGENT_ID}"
    back = f"{office.url}/landed?next=x"
    page.goto(f"{office.sandbox.url}/connect/oauth2/authorize?{login}&redirect_uri={quote(back, '')}")
    expect(page.get_by_role("heading")).to_have_text(f"{HEAD.staff_number} 打开 x")
    context.close()


def test_links_elsewhere_are_asked_about(office: SmallApp, wecom_sandbox: Running, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{wecom_sandbox.url}/webview?as={NURSE.staff_number}&url=http://127.0.0.1:9/x")
    expect(page.get_by_role("heading")).to_have_text("即将离开企业微信")
    expect(page.get_by_role("link", name="继续访问")).to_have_attribute("href", "http://127.0.0.1:9/x")
    page.goto(f"{wecom_sandbox.url}/webview?as={NURSE.staff_number}&url=javascript:alert(1)")
    expect(page.get_by_role("heading")).to_have_text("打不开这个链接")
    expect(page.get_by_role("link")).to_have_count(0)
    page.goto(f"{wecom_sandbox.url}/webview?as=nobody&url={office.url}")
    expect(page.get_by_role("heading")).to_have_text("没有这个成员")


def test_the_test_bench(office: SmallApp, phones: Phones, wecom_sandbox: Running) -> None:
    office.send("template_card", BUTTONS, NURSE.staff_number)
    page = phones("nurse")
    page.get_by_role("button", name="同意").click()
    page.get_by_role("button", name="测试台").click()
    bench = page.get_by_role("dialog", name="测试台")
    expect(bench.locator(".tools-event")).to_contain_text(["outcome:approve"])
    expect(bench.locator(".is-delivered")).to_contain_text("200")
    office.heard()
    bench.locator(".tools-event summary").click()
    bench.get_by_role("button", name="再发一次").click()
    expect(bench.get_by_role("status")).to_have_text("应用答复了 HTTP 200")
    assert office.heard()["EventKey"] == "outcome:approve"
    bench.get_by_role("button", name="＋72 小时").click()
    expect(bench.locator("[data-clock]")).to_contain_text("比真实时间快 3 天")
    assert wecom_sandbox.state.offset == 259_200
    office.token = office.ask("gettoken", corpid=constants.CORP_ID, corpsecret=constants.AGENT_SECRET)["access_token"]
    bench.get_by_role("combobox", name="接口", exact=True).select_option("message/send")
    bench.get_by_role("combobox", name="故障", exact=True).select_option("45009")
    bench.get_by_label("次数").fill("2")
    bench.get_by_role("button", name="注入").click()
    expect(bench.locator(".tools-line").first).to_contain_text("还剩 2 次")
    said = {"touser": NURSE.staff_number, "agentid": constants.AGENT_ID, "msgtype": "text", "text": {"content": "x"}}
    assert office.ask("message/send", said, access_token=office.token)["errcode"] == 45009
    bench.get_by_role("button", name="全部撤掉").click()
    expect(bench.locator(".tools-line")).to_have_count(0)
    for number in range(31):
        office.send("text", {"content": f"第 {number + 1} 条"}, NURSE.staff_number)
    expect(bench.locator("[data-live=dropped] .tools-line")).to_contain_text([NURSE.name])


def test_nobody_else_reaches_in(office: SmallApp, wecom_sandbox: Running) -> None:
    sent = office.send("template_card", BUTTONS, NURSE.staff_number)
    press = f'{{"as": "{NURSE.staff_number}", "message": "{sent["msgid"]}", "key": "outcome:approve"}}'.encode()
    assert answered(f"{wecom_sandbox.url}/phone/click", press, Origin="http://evil.example") == 403
    assert answered(f"{wecom_sandbox.url}/phone/click", press, **{"Sec-Fetch-Site": "cross-site"}) == 403
    assert answered(f"{wecom_sandbox.url}/phone/tools", Host="rebound.example") == 403
    assert answered(f"{wecom_sandbox.url}/phone/tools/advance?seconds=60", b"", Host="rebound.example") == 403
    assert wecom_sandbox.state.events == []
    assert wecom_sandbox.state.offset == 0
    assert answered(f"{wecom_sandbox.url}/phone/click", b"[]") == 422
    assert answered(f"{wecom_sandbox.url}/phone/click", press) == 204


@pytest.mark.parametrize("size", ["390x844", "1280x900"])
def test_pictures(office: SmallApp, phones: Phones, size: str) -> None:
    """Keep pictures of the page for whoever judges its look."""
    page, folder = (
        phones("nurse", "head_nurse") if size == "1280x900" else phones("nurse"),
        ROOT / "var/screenshots/phone",
    )
    width, height = map(int, size.split("x"))
    page.set_viewport_size({"width": width, "height": height})
    office.send("text", {"content": "您有 3 件事项今天到期，请及时办理。"}, NURSE.staff_number, HEAD.staff_number)
    office.send("template_card", BUTTONS, NURSE.staff_number, HEAD.staff_number)
    for each in page.locator("[data-phone]").all():
        expect(each.locator(".card-button").first).to_be_in_viewport(ratio=1)
        box = each.locator(".screen").bounding_box()
        assert box is not None
        assert box["width"] == (390 if width == 1280 else width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"chat-{size}.png")


def opens(link: Locator) -> str:
    """Return where a link of a message leads in the end."""
    address = link.get_attribute("href") or ""
    found = re.fullmatch(r"/webview\?as=\d+&url=(.+)", address)
    assert found is not None, address
    return unquote(found[1])


def answered(url: str, body: bytes | None = None, **headers: str) -> int:
    """Return the status of an answer."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
