"""The official JS-SDK as npm has it, in a browser with WeCom's user agent and the stand-in's bridge."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from engine.org.demo import CAST
from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.app import SIGNED, SmallApp
from tests.sandbox.webview import ANDROID, USER_AGENT, webview

pytestmark = pytest.mark.browser

NURSE, HEAD = CAST["nurse"], CAST["head_nurse"]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c626001000000ffff03000006000557bfabd4"
    "0000000049454e44ae426082"
)
REGISTER = """
([corpId, agentId, jsApiList, mistake]) => new Promise((resolve) => {
  const sign = (agent) => async (url) => (await fetch(`/sign?url=${encodeURIComponent(url + mistake)}${agent}`)).json();
  const said = [];
  const tell = (name) => (result) => { said.push([name, result.errMsg]); if (said.length === 2) resolve(said.sort()); };
  ww.register({
    corpId, agentId, jsApiList,
    getConfigSignature: sign(''), onConfigSuccess: tell('config'), onConfigFail: tell('config'),
    getAgentConfigSignature: sign('&agent=1'), onAgentConfigSuccess: tell('agent'), onAgentConfigFail: tell('agent'),
  });
  ww.ensureCorpConfigReady().catch(() => {});
})"""
APIS = [
    "chooseImage", "getLocalImgData", "uploadImage", "downloadImage", "previewFile", "selectEnterpriseContact",
    "selectExternalContact", "closeWindow", "onHistoryBack", "getContext", "hideOptionMenu",
]  # fmt: skip
Open = Callable[..., Page]


@pytest.fixture
def office(wecom_sandbox: Running) -> Iterator[SmallApp]:
    """An app that the corp uses."""
    app = SmallApp(wecom_sandbox)
    yield app
    app.close()


@pytest.fixture
def opened(browser: Browser, office: SmallApp) -> Iterator[Open]:
    """Open the app's page with the SDK in the nurse's webview, and register it."""
    contexts = []

    def show(user_agent: str = USER_AGENT) -> Page:
        context = webview(browser, office.sandbox.url, NURSE.staff_number, user_agent=user_agent)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(f"{office.url}/sdk?page=1#part")
        return page

    yield show
    for context in contexts:
        context.close()


def register(page: Page, mistake: str = "", agent: int = constants.AGENT_ID) -> Any:
    """Register the page; return what config and agentConfig came to."""
    return page.evaluate(REGISTER, [constants.CORP_ID, agent, APIS, mistake])


def refused(page: Page, call: str) -> str:
    """Return the message of a call that must fail."""
    found: str = page.evaluate(f"() => {call}.then((all) => 'agreed: ' + JSON.stringify(all), (error) => error.errMsg)")
    return found


def test_both_signatures_are_checked(opened: Open) -> None:
    page = opened()
    assert page.evaluate("ww.env.isWeCom") is True
    assert register(page) == [["agent", "agentConfig:ok"], ["config", "preVerifyJSAPI:ok"]]
    assert page.evaluate("ww.getContext().then(({entry}) => entry)") == "normal"


def test_a_wrong_signature_opens_nothing(opened: Open) -> None:
    page = opened()
    wrong = [["agent", "agentConfig:invalid signature"], ["config", "preVerifyJSAPI:invalid signature"]]
    assert register(page, "&more=1") == wrong
    assert "invalid signature" in refused(page, "ww.chooseImage({count: 1})")
    page.reload()
    assert register(page, agent=constants.OTHER_AGENT_ID)[0] == ["agent", "agentConfig:invalid signature"]


def test_a_page_outside_the_trusted_domains(opened: Open, office: SmallApp) -> None:
    page = opened()
    office.sandbox.control.agent(agentid=constants.AGENT_ID, domains=["oa.example"])
    office.sandbox.control.agent(agentid=constants.OTHER_AGENT_ID, domains=["oa.example"])
    office.sandbox.state.agents[constants.AGENT_ID].home_url = ""
    office.sandbox.control.callback(agentid=constants.AGENT_ID)
    assert register(page) == [
        ["agent", "agentConfig:invalid url domain"],
        ["config", "preVerifyJSAPI:invalid url domain"],
    ]


@pytest.mark.parametrize("user_agent", [USER_AGENT, ANDROID], ids=["ios", "android"])
def test_a_picture_is_chosen_and_uploaded(opened: Open, office: SmallApp, user_agent: str) -> None:
    page = opened(user_agent)
    register(page)
    page.evaluate("() => { window.chosen = ww.chooseImage({count: 1, sourceType: ['album']}) }")
    file: Any = {"name": "伤口.png", "mimeType": "image/png", "buffer": PNG}
    page.get_by_label("从手机相册选择").set_input_files([file])
    ids = page.evaluate("chosen.then(({localIds}) => localIds)")
    assert len(ids) == 1
    data = page.evaluate("(localId) => ww.getLocalImgData({localId}).then(({localData}) => localData)", ids[0])
    assert data.startswith("data:image/png;base64,") == (user_agent == USER_AGENT)
    server = page.evaluate("(localId) => ww.uploadImage({localId}).then(({serverId}) => serverId)", ids[0])
    with page.context.expect_page() as downloaded:  # the app fetches it as any other file
        page.evaluate(
            "(url) => { open(url) }",
            f"{office.sandbox.url}/cgi-bin/media/get?access_token={office.token}&media_id={server}",
        )
    downloaded.value.close()
    assert office.sandbox.state.media[server].content == PNG
    again = page.evaluate(
        "(serverId) => ww.downloadImage({serverId}).then(({localId}) => ww.getLocalImgData({localId}))", server
    )
    assert again["localData"] == data


def test_choosing_a_picture_is_given_up(opened: Open) -> None:
    page = opened()
    register(page)
    page.evaluate("() => { window.chosen = ww.chooseImage({}).then(() => 'agreed', ({errMsg}) => errMsg) }")
    page.get_by_role("button", name="取消").click()
    assert page.evaluate("chosen") == "chooseImage:cancel"


@pytest.mark.parametrize("user_agent", [USER_AGENT, ANDROID], ids=["ios", "android"])
def test_colleagues_are_picked(opened: Open, user_agent: str) -> None:
    page = opened(user_agent)
    register(page)
    types, given = "['user', 'department']", f"['{NURSE.staff_number}']"
    asked = f"{{fromDepartmentId: -1, mode: 'multi', type: {types}, selectedUserIds: {given}}}"
    page.evaluate(f"() => {{ window.picked = ww.selectEnterpriseContact({asked}) }}")
    sheet = page.get_by_role("dialog", name="选择同事")
    expect(sheet.get_by_role("button", name="确定（1）")).to_be_visible()
    sheet.get_by_label("搜索").fill(HEAD.name)
    sheet.get_by_text(HEAD.name, exact=True).click()
    sheet.get_by_label("搜索").fill("信息科")
    sheet.get_by_text("信息科", exact=True).click()
    sheet.get_by_role("button", name="确定（3）").click()
    result = page.evaluate("picked.then(({result}) => result)")
    assert [user["id"] for user in result["userList"]] == [NURSE.staff_number, HEAD.staff_number]
    assert [user["name"] for user in result["userList"]] == [NURSE.name, HEAD.name]
    assert [department["name"] for department in result["departmentList"]] == ["信息科"]


def test_one_colleague_is_picked(opened: Open) -> None:
    page = opened()
    register(page)
    page.evaluate(
        "() => { window.picked = ww.selectEnterpriseContact({fromDepartmentId: 0, mode: 'single', type: ['user']}) }"
    )
    sheet = page.get_by_role("dialog", name="选择同事")
    for person in (NURSE, HEAD):
        sheet.get_by_label("搜索").fill(person.staff_number)
        sheet.get_by_text(person.name, exact=True).click()
    sheet.get_by_role("button", name="确定（1）").click()
    assert page.evaluate("picked.then(({result}) => result.userList.map(({id}) => id))") == [HEAD.staff_number]


def test_what_the_corp_does_not_have(opened: Open) -> None:
    page = opened()
    register(page)
    assert refused(page, "ww.selectExternalContact({})") == "selectExternalContact:permission denied"
    assert refused(page, "ww.scanQRCode({})") == "scanQRCode:function not exist"
    assert refused(page, "ww.setClipboardData({data: 'x'})") == "setClipboardData:permission denied"
    checked = page.evaluate(
        "ww.checkJsApi({jsApiList: ['chooseImage', 'scanQRCode']}).then(({checkResult}) => checkResult)"
    )
    assert checked == {"chooseImage": True, "scanQRCode": False}


def test_a_file_is_shown_without_the_pages_cookies(opened: Open, office: SmallApp) -> None:
    page = opened()
    register(page)
    page.context.add_cookies([{"name": "session", "value": "x", "url": office.url}])
    assert (
        refused(page, "ww.previewFile({url: '/file.pdf', name: '制度.pdf', size: 17})") == "previewFile:fail http 401"
    )
    outside = refused(page, "ww.previewFile({url: 'http://127.0.0.1:9/file.pdf', name: 'x', size: 1})")
    assert outside == "previewFile:fail network error"  # another app of the corp trusts every domain
    page.evaluate(f"ww.previewFile({{url: '/file.pdf?key={SIGNED}', name: '制度.pdf', size: 17}})")
    expect(page.get_by_role("dialog", name="文件预览")).to_contain_text("制度.pdf")


def test_the_way_back_and_out(opened: Open) -> None:
    page = opened()
    register(page)
    page.evaluate("ww.hideOptionMenu()")
    assert page.evaluate("WeixinJSBridge.sandbox.webview.menu") is False
    page.evaluate("() => { window.asked = 0; ww.onHistoryBack(() => { asked += 1; return false }) }")
    page.evaluate("WeixinJSBridge.sandbox.back()")
    assert page.evaluate("asked") == 1
    with page.expect_event("close"):
        try:
            page.evaluate("() => { ww.closeWindow() }")
        except Error:
            pass  # gone before it could answer
