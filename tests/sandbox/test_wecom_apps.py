"""An app's own affairs: its scope, its menu, the workbench, files, group chats; and the command that starts it all."""

import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest

from engine.org.demo import CAST
from engine.settings import ROOT
from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.conftest import DIRECTOR, HEAD_NURSE, NURSE, Client, refusal

AGENT = constants.AGENT_ID
PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def test_the_scope_of_an_app(wecom_sandbox: Running, client: Client, contacts: Client) -> None:
    wecom_sandbox.control.change_tag(number=5, add_users=[NURSE])
    wecom_sandbox.control.agent(agentid=AGENT, users=[NURSE, "10001"], parties=[2, 5], tags=[5])
    told = client.agent.get(AGENT)
    assert told["allow_userinfos"] == {"user": [{"userid": "10001"}, {"userid": NURSE}]}
    assert (told["allow_partys"], told["allow_tags"]) == ({"partyid": [2, 5]}, {"tagid": [5]})
    assert (told["name"], told["close"]) == ("批阅", 0)
    assert client.agent.list() == [{"agentid": AGENT, "name": "批阅", "square_logo_url": ""}]
    assert refusal(lambda: client.agent.get(constants.OTHER_AGENT_ID)) == 301002
    assert refusal(lambda: contacts.agent.get(AGENT)) == 301002
    assert client.refused("agent/get") == 41011


def test_the_bridge_opens_pages_only_and_answers_programs_of_this_machine_only(wecom_sandbox: Running) -> None:
    def preview(url: str, **headers: str) -> httpx.Response:
        asked = {"as": NURSE, "url": "", "name": "previewFile", "params": {"url": url}}
        return httpx.post(f"{wecom_sandbox.url}/phone/bridge", json=asked, headers=headers)

    assert preview((ROOT / "piyue.py").as_uri()).json() == {"ok": False, "why": "invalid url domain"}
    own = f"{wecom_sandbox.url}/phone/ui/icon.svg"
    assert preview(own).json()["ok"]
    for foreign in ({"Host": "192.0.2.7:8001"}, {"Host": "rebound.example"}, {"Origin": wecom_sandbox.url}):
        assert preview(own, **foreign).status_code == 403


def test_what_the_console_says_of_an_app(client: Client) -> None:
    client.agent.set(AGENT, name="批阅办公", description="医院移动办公", redirect_domain="oa.example")
    told = client.agent.get(AGENT)
    assert (told["name"], told["description"], told["redirect_domain"]) == ("批阅办公", "医院移动办公", "oa.example")
    assert refusal(lambda: client.agent.set(AGENT, description="短")) == 45004
    assert refusal(lambda: client.agent.set(AGENT, name="长" * 33)) == 45022


def test_the_menu_of_an_app(client: Client) -> None:
    assert refusal(lambda: client.menu.get(AGENT)) == 46003
    view = {"type": "view", "name": "待办", "url": "https://oa.example"}
    menu = {"button": [view, {"name": "更多", "sub_button": [{"type": "click", "name": "帮助", "key": "help"}]}]}
    client.menu.create(AGENT, menu)
    assert client.menu.get(AGENT)["button"] == menu["button"]
    for buttons, errcode in (
        ([], 40016),
        ([view] * 4, 40016),
        ([{"name": "x", "sub_button": [view] * 6}], 40023),
        ([{"name": "x"}], 40017),
        ([{**view, "name": ""}], 40018),
        ([{"type": "click", "name": "x"}], 40019),
        ([{**view, "url": "x" * 1025}], 40020),
    ):
        assert refusal(lambda: client.menu.create(AGENT, {"button": buttons})) == errcode  # noqa: B023
    client.menu.delete(AGENT)
    assert refusal(lambda: client.menu.get(AGENT)) == 46003


def keydata(number: int = 4, **more: str) -> dict[str, Any]:
    return {"items": [{"key": "待办", "data": "2", "jump_url": "https://oa.example", **more} for _ in range(number)]}


def show(client: Client, userid: str = NURSE, kind: str = "keydata", data: object = None) -> Any:
    body = {"agentid": AGENT, "userid": userid, "type": kind, kind: keydata() if data is None else data}
    return client.post("agent/set_workbench_data", data=body)


def test_the_workbench_shows_each_member_their_own(wecom_sandbox: Running, client: Client) -> None:
    assert refusal(lambda: show(client)) == 40058, "first the template"
    template = {"agentid": AGENT, "type": "keydata", "keydata": {"items": [{"key": "待办"}]}}
    client.post("agent/set_workbench_template", data=template)
    assert wecom_sandbox.control.workbench(userid=NURSE, agentid=AGENT)["keydata"] == {"items": [{"key": "待办"}]}
    show(client)
    assert wecom_sandbox.control.workbench(userid=NURSE, agentid=AGENT)["keydata"] == keydata()
    assert wecom_sandbox.control.workbench(userid=HEAD_NURSE, agentid=AGENT)["keydata"] != keydata()
    client.post("agent/set_workbench_template", data={**template, "replace_user_data": True})
    assert wecom_sandbox.control.workbench(userid=NURSE, agentid=AGENT)["keydata"] != keydata()
    client.post("agent/set_workbench_template", data={"agentid": AGENT, "type": "normal"})
    assert wecom_sandbox.control.workbench(userid=NURSE, agentid=AGENT) == {"type": "normal"}


def test_what_the_workbench_does_not_show(wecom_sandbox: Running, client: Client) -> None:
    assert client.refused("agent/set_workbench_template", {"agentid": AGENT, "type": "poem"}) == 40058
    client.post("agent/set_workbench_template", data={"agentid": AGENT, "type": "keydata", "keydata": {}})
    wrong: list[dict[str, Any]] = [keydata(5), {}, {"items": [{"key": "k"}]}]
    for data in [*wrong, keydata(1, data="x" * 65), keydata(1, jump_url="x" * 1025)]:
        assert refusal(lambda: show(client, data=data)) == 40058  # noqa: B023
    assert refusal(lambda: show(client, kind="image", data={"url": "x"})) == 40058
    assert refusal(lambda: show(client, "nobody")) == 40003
    wecom_sandbox.control.agent(agentid=AGENT, users=[HEAD_NURSE], parties=[], tags=[])
    assert refusal(lambda: show(client)) == 60021


def test_the_workbench_is_set_ten_times_a_minute_for_each(wecom_sandbox: Running, client: Client) -> None:
    client.post("agent/set_workbench_template", data={"agentid": AGENT, "type": "keydata", "keydata": {}})
    for _ in range(10):
        show(client)
    with pytest.raises(Exception, match="45009"):
        show(client)
    show(client, HEAD_NURSE)
    wecom_sandbox.control.advance(seconds=60)
    show(client)


def test_files_are_kept_for_three_days(wecom_sandbox: Running, client: Client) -> None:
    told = client.media.upload("file", ("请示.pdf", b"%PDF-1.7 content", "application/pdf"))
    assert (told["type"], told["created_at"].isdigit()) == ("file", True)
    url = f"{wecom_sandbox.url}/cgi-bin/media/get?access_token={client.access_token}&media_id={told['media_id']}"
    with httpx.Client(trust_env=False, verify=False) as browser:
        answer = browser.get(url)
        assert (answer.content, answer.headers["content-type"]) == (b"%PDF-1.7 content", "application/pdf")
        assert "attachment" in answer.headers["content-disposition"]
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    assert other.get("media/get", params={"media_id": told["media_id"]}).content, "all apps of the corp share them"
    wecom_sandbox.control.advance(seconds=3 * 86_400)
    client.fetch_access_token()
    assert client.refused("media/get", media_id=told["media_id"]) == 40007
    assert client.refused("media/get", media_id="") == 41006


@pytest.mark.parametrize(
    ("kind", "content", "errcode"),
    [
        ("poem", PICTURE, 40005),
        ("file", b"12345", 40006),
        ("file", b"", 44001),
        ("image", b"GIF89a..", 40004),
        ("voice", b"RIFF....", 40004),
        ("image", PICTURE + bytes(10 << 20), 45001),
        ("voice", b"#!AMR\n" + bytes(2 << 20), 45001),
        ("video", bytes((10 << 20) + 1), 45001),
        ("file", bytes((20 << 20) + 1), 45001),
    ],
)
def test_files_that_are_not_taken(client: Client, kind: str, content: bytes, errcode: int) -> None:
    assert refusal(lambda: client.media.upload(kind, ("x", content))) == errcode


def test_the_largest_file_and_no_file_at_all(client: Client) -> None:
    assert client.media.upload("file", ("x", bytes(20 << 20)))["media_id"]
    assert client.media.upload("image", ("x", PICTURE + bytes((10 << 20) - len(PICTURE))))["media_id"]
    assert refusal(lambda: client.post("media/upload", params={"type": "file"}, data=b"")) == 44001
    assert refusal(lambda: client.post("media/upload", params={"type": "file"}, files={"picture": b"123456"})) == 44001
    assert client.media.upload_img(("x.png", PICTURE))["url"]
    assert refusal(lambda: client.media.upload_img(("x.png", b"123456"))) == 40004


def test_a_group_chat(wecom_sandbox: Running, client: Client) -> None:
    chatid = client.appchat.create("case1", "请假 单晓燕", HEAD_NURSE, [NURSE, HEAD_NURSE, DIRECTOR])["chatid"]
    assert chatid == "case1"
    client.appchat.send_text(chatid, "请大家看一下")
    for userid in (NURSE, HEAD_NURSE, DIRECTOR):
        (message,) = wecom_sandbox.control.messages(userid=userid)
        assert (message["chatid"], message["content"]["content"]) == (chatid, "请大家看一下")
    client.appchat.update(chatid, name="改名", owner=NURSE, add_user_list=["10001"], del_user_list=[DIRECTOR])
    chat = client.appchat.get(chatid)
    assert (chat["name"], chat["owner"], chat["userlist"]) == ("改名", NURSE, [NURSE, HEAD_NURSE, "10001"])
    assert client.appchat.create(user_list=[NURSE, HEAD_NURSE])["chatid"]


def test_chats_that_can_not_be(wecom_sandbox: Running, client: Client) -> None:
    def create(**chat: Any) -> int:
        return refusal(lambda: client.appchat.create(**{"user_list": [NURSE, HEAD_NURSE], **chat}))

    client.appchat.create("c1", user_list=[NURSE, HEAD_NURSE])
    assert create(chat_id="c1") == 86215
    assert create(chat_id="c-1") == create(chat_id="c" * 33) == 86001
    assert create(user_list=[NURSE]) == create(user_list=[NURSE, NURSE]) == 86006
    assert create(user_list=[NURSE, "nobody"]) == 86216
    assert create(owner=DIRECTOR) == 86207
    assert refusal(lambda: client.appchat.get("c2")) == 86003
    assert refusal(lambda: client.appchat.get("")) == 86201
    assert refusal(lambda: client.appchat.update("c1", del_user_list=[NURSE])) == 86006
    card = {"chatid": "c1", "msgtype": "template_card", "template_card": {}}
    assert client.refused("appchat/send", card) == 40008
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    assert refusal(lambda: other.appchat.get("c1")) == 86008
    wecom_sandbox.control.agent(agentid=AGENT, users=[], parties=[2], tags=[])
    assert refusal(lambda: client.appchat.get("c1")) == 60011


def test_addresses(client: Client) -> None:
    assert client.misc.get_wechat_ips() == ["127.0.0.1"]
    assert client.get("get_api_domain_ip")["ip_list"] == ["127.0.0.1"]


def test_the_demo_shows_the_phones_of_its_story(wecom_sandbox: Running) -> None:
    assert (CAST["nurse"].staff_number, CAST["head_nurse"].staff_number) == constants.PHONES
    labels = {m.userid: m.label for m in wecom_sandbox.state.members.values() if m.label}
    assert labels == {person.staff_number: person.label for person in CAST.values()}


def test_the_command_starts_it_with_the_staff_of_the_demo() -> None:
    from tests import services

    port = services.free_port()
    command = [sys.executable, "-m", "piyue", "sandbox", "wecom", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = "".join(line for line, _ in zip(process.stdout, range(13), strict=False))
            assert f"PIYUE_WECOM_API=http://127.0.0.1:{port}" in told
            client = Client(f"http://127.0.0.1:{port}", constants.AGENT_SECRET)
            assert client.user.get(NURSE)["name"] == "单晓燕"
            busy = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert (busy.returncode, f"端口 127.0.0.1:{port} 不能使用" in busy.stderr) == (1, True)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                process.kill()
