"""The client against the sandbox: every endpoint, and each class of error as WeCom would answer it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from engine.connectors.tokens import Tokens
from engine.connectors.wecom.client import WeCom, errors, js
from engine.connectors.wecom.client.answers import Chat, KeyData
from engine.connectors.wecom.settings import WeComSettings
from sandbox.wecom import constants
from sandbox.wecom.records import Tag
from sandbox.wecom.server import Running

NURSE, HEAD_NURSE, DIRECTOR = "10027", "10026", "10007"  # of the demo hospital; two of one department
AGENT = constants.AGENT_ID
PDF = b"%PDF-1.7 a notice"


def connected(sandbox: Running, tokens: Tokens | None = None, **changes: Any) -> WeCom:
    given: dict[str, Any] = sandbox.settings() | changes
    return WeCom(WeComSettings(**given), tokens=tokens)


@pytest.fixture
def wecom(wecom_sandbox: Running) -> WeCom:
    """The client of the sandbox's app."""
    return connected(wecom_sandbox)


@pytest.fixture
def callbacks(wecom_sandbox: Running) -> None:
    """The app has an address for callbacks, as cards with buttons demand; nothing is called in these tests."""
    wecom_sandbox.call("http://127.0.0.1:9/callback", check=False)


def text(content: str = "您有 3 件待办") -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": content}}


def card(task_id: str = "t1", title: str = "请假审批") -> dict[str, Any]:
    return {
        "card_type": "button_interaction",
        "task_id": task_id,
        "main_title": {"title": title, "desc": "单晓燕 3天"},
        "button_list": [{"text": "同意", "style": 1, "key": "outcome:agree"}],
        "card_action": {"type": 1, "url": "https://oa.example/items/1"},
    }


def message(task_id: str = "t1") -> dict[str, Any]:
    return {"msgtype": "template_card", "template_card": card(task_id)}


# Messages


def test_a_text_reaches_those_who_are_there_and_names_the_others(wecom_sandbox: Running, wecom: WeCom) -> None:
    sent = wecom.send([NURSE, "NoBody"], text())
    assert (set(sent.invalid), sent.response_code) == ({"nobody"}, None)
    (seen,) = wecom_sandbox.control.messages(userid=NURSE)
    assert (seen["msgid"], seen["content"]["content"]) == (sent.msgid, "您有 3 件待办")


def test_the_same_text_again_is_left_out_unless_it_is_meant(wecom_sandbox: Running, wecom: WeCom) -> None:
    first, again = wecom.send([NURSE], text()), wecom.send([NURSE], text())
    assert first.msgid == again.msgid
    assert wecom.send([NURSE], text() | {"enable_duplicate_check": 0}).msgid != first.msgid
    wecom_sandbox.control.advance(seconds=1801)
    assert wecom.send([NURSE], text()).msgid != first.msgid
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 3


def test_a_send_whose_answer_was_lost_may_be_sent_again(wecom_sandbox: Running, wecom: WeCom) -> None:
    wecom_sandbox.control.fault(endpoint="message/send", silent=0.01)
    with pytest.raises(errors.Later, match="连不上"):
        wecom.send([NURSE], text())
    wecom.send([NURSE], text())
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 1


@pytest.mark.usefixtures("callbacks")
def test_a_card_changes_once_with_each_code(wecom_sandbox: Running, wecom: WeCom) -> None:
    sent = wecom.send([NURSE, HEAD_NURSE], message())
    assert sent.response_code
    done = card(title="请假审批：护士长已同意")
    assert wecom.update_card(sent.response_code, [NURSE, HEAD_NURSE, "NoBody"], done) == {"nobody"}
    for userid in (NURSE, HEAD_NURSE):
        assert (
            wecom_sandbox.control.messages(userid=userid)[0]["card"]["main_title"]["title"] == "请假审批：护士长已同意"
        )
    with pytest.raises(errors.CodeSpent):
        wecom.update_card(sent.response_code, [NURSE], done)


@pytest.mark.usefixtures("callbacks")
def test_a_button_is_replaced(wecom_sandbox: Running, wecom: WeCom) -> None:
    sent = wecom.send([NURSE], message())
    assert wecom.replace_button(sent.response_code or "", [NURSE], "已同意") == frozenset()
    assert wecom_sandbox.control.messages(userid=NURSE)[0]["replaced"] == "已同意"


@pytest.mark.usefixtures("callbacks")
def test_a_code_lasts_72_hours(wecom_sandbox: Running, wecom: WeCom) -> None:
    sent = wecom.send([NURSE], message())
    wecom_sandbox.control.advance(seconds=72 * 3600)
    with pytest.raises(errors.CodeSpent):
        wecom.update_card(sent.response_code or "", [NURSE], card())


@pytest.mark.usefixtures("callbacks")
def test_a_card_is_sent_once(wecom: WeCom) -> None:
    wecom.send([NURSE], message())
    with pytest.raises(errors.Duplicate):
        wecom.send([HEAD_NURSE], message())


def test_a_message_is_taken_back_within_a_day(wecom_sandbox: Running, wecom: WeCom) -> None:
    first, second = wecom.send([NURSE], text("一")), wecom.send([NURSE], text("二"))
    wecom.recall(first.msgid)
    assert [seen["recalled"] for seen in wecom_sandbox.control.messages(userid=NURSE)] == [True, False]
    wecom_sandbox.control.advance(seconds=24 * 3600)
    with pytest.raises(errors.Refused):
        wecom.recall(second.msgid)


# People


def test_the_contacts_secret_of_today_leaves_details_to_the_app(wecom_sandbox: Running, wecom: WeCom) -> None:
    departments = wecom.departments()
    assert [(found.id, found.parent_id) for found in departments if found.parent_id == 0] == [(1, 0)]
    assert len(departments) == len(wecom_sandbox.state.departments)
    nurse = wecom.member(NURSE)
    assert (nurse.userid, nurse.mobile, nurse.email, nurse.status) == (NURSE, "", "", 1)
    assert nurse.main_department in nurse.departments
    assert nurse in wecom.members(nurse.main_department)
    codes = wecom_sandbox.control.statistics()["codes"]
    assert codes["department/list 48009"] == 1
    assert "user/get 48009" not in codes  # it has learnt


def test_a_secret_from_before_2022_tells_mobile_and_mail(wecom_sandbox: Running, wecom: WeCom) -> None:
    wecom_sandbox.control.agent(agentid=constants.CONTACTS_ID, sensitive=True)
    nurse = wecom.member(NURSE)
    known = wecom_sandbox.state.members[NURSE]
    assert (nurse.mobile, nurse.email) == (known.mobile, known.email)
    assert nurse.mobile


def test_leads_and_orders_go_with_the_departments(wecom_sandbox: Running, wecom: WeCom) -> None:
    wecom_sandbox.control.add_member(
        userid="ZhangSan", name="张三", departments=[2, 3], leads=[3], order=7, alias="三", position="主任"
    )
    found = wecom.member("zhangsan")
    assert (found.userid, found.departments, found.leads, found.orders) == ("ZhangSan", (2, 3), frozenset({3}), (7, 7))
    assert (found.alias, found.position, found.name) == ("三", "主任", "张三")


def test_all_pages_of_member_ids(wecom_sandbox: Running, wecom: WeCom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.connectors.wecom.client.client._PAGE", 100)
    pairs = wecom.member_ids()
    known = [(m.userid, d) for m in wecom_sandbox.state.members.values() for d in m.departments]
    assert sorted(pairs) == sorted(known)
    assert wecom_sandbox.control.statistics()["endpoints"]["user/list_id"] == -(-len(known) // 100)
    with pytest.raises(errors.Misconfigured, match="PIYUE_WECOM_CONTACTS_SECRET"):
        connected(wecom_sandbox, contacts_secret="").member_ids()


def test_tags(wecom_sandbox: Running, wecom: WeCom) -> None:
    wecom_sandbox.control.change_tag(number=5, name="院领导", add_users=[DIRECTOR], add_parties=[2])
    assert [(tag.id, tag.name) for tag in wecom.tags()] == [(5, "院领导")]
    found = wecom.tagged(5)
    assert (set(found.userids), set(found.departments)) == ({DIRECTOR}, {2})


@pytest.mark.parametrize("who", ["nobody", "Nobody@corp"])
def test_who_is_not_there_is_unknown(wecom: WeCom, who: str) -> None:
    with pytest.raises(errors.Unknown):
        wecom.member(who)
    with pytest.raises(errors.Unknown):
        wecom.members(9999)


def test_the_visible_scope_by_name_department_and_tag(wecom_sandbox: Running, wecom: WeCom) -> None:
    nurse = wecom_sandbox.state.members[NURSE]
    parent = wecom_sandbox.state.departments[nurse.main_department].parentid
    assert wecom.visible(NURSE)
    assert not wecom.visible("nobody")
    wecom_sandbox.state.tags[5] = Tag(5, "院领导", {DIRECTOR})
    scopes: tuple[dict[str, Any], ...] = (
        {"users": [NURSE], "parties": [], "tags": []},
        {"users": [], "parties": [nurse.main_department], "tags": []},
        {"users": [], "parties": [parent], "tags": []},
        {"users": [], "parties": [], "tags": [5]},
        {"users": [], "parties": [], "tags": []},
    )
    for scope in scopes:
        wecom_sandbox.control.agent(agentid=AGENT, **scope)
        asked, app = connected(wecom_sandbox), wecom_sandbox.state.agents[AGENT]
        for userid in (NURSE, HEAD_NURSE, DIRECTOR):
            assert asked.visible(userid) is wecom_sandbox.state.visible(app, userid), (scope, userid)
    assert not asked.visible(NURSE)
    assert wecom_sandbox.control.statistics()["endpoints"]["agent/get"] == 6  # the scope is believed for ten minutes


# Entry


def test_a_code_tells_once_who_has_come(wecom_sandbox: Running, wecom: WeCom) -> None:
    code = wecom_sandbox.control.code(who=NURSE, scope="snsapi_privateinfo", agentid=AGENT)["code"]
    entrant = wecom.who(code)
    assert (entrant.userid, entrant.openid) == (NURSE, None)
    detail = wecom.detail(entrant.user_ticket or "")
    assert (detail.userid, detail.mobile) == (NURSE, wecom_sandbox.state.members[NURSE].mobile)
    with pytest.raises(errors.EntryExpired):
        wecom.who(code)
    with pytest.raises(errors.EntryExpired):
        wecom.who("made up")
    old = wecom_sandbox.control.code(who=NURSE)["code"]
    wecom_sandbox.control.advance(seconds=1801)
    for call in (lambda: wecom.who(old), lambda: wecom.detail(entrant.user_ticket or "")):
        with pytest.raises(errors.EntryExpired):
            call()


def test_an_outsider_has_no_userid(wecom_sandbox: Running, wecom: WeCom) -> None:
    entrant = wecom.who(wecom_sandbox.control.code(who="*")["code"])
    assert entrant.userid is None
    assert entrant.openid
    assert entrant.user_ticket is None


def test_pages_are_signed_with_tickets_that_are_asked_for_once(wecom_sandbox: Running, wecom: WeCom) -> None:
    url = "https://oa.example/items/1?a=b"
    for _ in range(3):
        corp, agent = wecom.js_config(f"{url}#return"), wecom.agent_js_config(url)
    for config, ticket in ((corp, "corp"), (agent, f"agent {AGENT}")):
        known, _ = wecom_sandbox.state.js_tickets[ticket]
        told = config.for_sdk()
        assert told["signature"] == js.signature(known, config.nonce, config.timestamp, url)
        assert (told["timestamp"], told["nonceStr"]) == (config.timestamp, config.nonce)
    assert (corp.corp_id, corp.agent_id, agent.agent_id) == (constants.CORP_ID, None, AGENT)
    endpoints = wecom_sandbox.control.statistics()["endpoints"]
    assert (endpoints["get_jsapi_ticket"], endpoints["ticket/get"]) == (1, 1)


# Workbench, groups, files, addresses


def test_figures_on_the_workbench(wecom_sandbox: Running, wecom: WeCom) -> None:
    wecom.workbench_template()
    shown = wecom_sandbox.control.workbench(userid=NURSE, agentid=AGENT)
    assert [(item["key"], item["data"]) for item in shown["keydata"]["items"]] == [
        ("待办", "0"),
        ("待阅", "0"),
        ("我发起", "0"),
        ("逾期", "0"),
    ]
    wecom.workbench(NURSE, [KeyData("待办", "2", "https://oa.example/todo")])
    shown = wecom_sandbox.control.workbench(userid=NURSE, agentid=AGENT)
    assert shown["keydata"]["items"] == [{"key": "待办", "data": "2", "jump_url": "https://oa.example/todo"}]
    for _ in range(9):
        wecom.workbench(NURSE, [KeyData("待办", "2")])
    with pytest.raises(errors.Later) as refused:
        wecom.workbench(NURSE, [KeyData("待办", "2")])
    assert refused.value.delay is not None


def test_a_group_chat(wecom_sandbox: Running, wecom: WeCom) -> None:
    assert wecom.create_chat("请假讨论", HEAD_NURSE, [NURSE, HEAD_NURSE], "leave1") == "leave1"
    assert wecom.chat("leave1") == Chat("leave1", "请假讨论", HEAD_NURSE, (NURSE, HEAD_NURSE))
    wecom.send_chat("leave1", text("请看"))
    assert wecom_sandbox.control.messages(userid=NURSE)[0]["chatid"] == "leave1"
    with pytest.raises(errors.Duplicate):
        wecom.create_chat("请假讨论", HEAD_NURSE, [NURSE, HEAD_NURSE], "leave1")
    with pytest.raises(errors.Unknown):
        wecom.chat("leave2")
    with pytest.raises(errors.Refused):
        wecom.send_chat("leave1", message())
    with pytest.raises(errors.NoRecipient):
        wecom.create_chat("请假讨论", HEAD_NURSE, ["nobody", HEAD_NURSE], "leave3")


def test_a_file_comes_back_as_it_went(wecom_sandbox: Running, wecom: WeCom) -> None:
    for content in (PDF, b'{"errcode": 40001}', b"\x00" * 100):
        media_id = wecom.upload("file", "通知.pdf", content)
        assert wecom.download(media_id) == content
        assert wecom_sandbox.state.media[media_id].filename == "通知.pdf"
    wecom.send([NURSE], {"msgtype": "file", "file": {"media_id": media_id}})
    wecom_sandbox.control.advance(seconds=3 * 24 * 3600)
    with pytest.raises(errors.Unknown):
        wecom.download(media_id)


def test_a_download_whose_token_was_revoked_is_repeated(wecom_sandbox: Running, wecom: WeCom) -> None:
    media_id = wecom.upload("file", "a.pdf", PDF)
    wecom_sandbox.control.revoke_tokens(agentid=AGENT)
    assert wecom.download(media_id) == PDF


@pytest.mark.parametrize(
    ("kind", "content"), [("file", b"12345"), ("image", b"no picture"), ("voice", b"#!AMR" + b"x" * (2 << 20))]
)
def test_files_that_wecom_does_not_take(wecom: WeCom, kind: Any, content: bytes) -> None:
    with pytest.raises(errors.Refused) as refused:
        wecom.upload(kind, "a", content)
    assert refused.value.errcode in (40004, 40006, 45001)


def test_addresses_for_the_firewall(wecom: WeCom) -> None:
    assert wecom.api_addresses() == {"127.0.0.1"}
    assert wecom.callback_addresses() == {"127.0.0.1"}


# What goes wrong


def test_a_token_that_was_revoked_or_has_expired_is_renewed(wecom_sandbox: Running, wecom: WeCom) -> None:
    wecom.send([NURSE], text("一"))
    wecom_sandbox.control.revoke_tokens(agentid=AGENT)
    wecom.send([NURSE], text("二"))
    wecom_sandbox.control.advance(seconds=7200)
    wecom.send([NURSE], text("三"))
    codes = wecom_sandbox.control.statistics()["codes"]
    assert (codes["gettoken 0"], codes["message/send 40014"], codes["message/send 42001"]) == (3, 1, 1)
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 3


SETTINGS: list[tuple[dict[str, Any], int]] = [
    ({"secret": SecretStr("wrong")}, 40001),
    ({"corp_id": "wwother"}, 40013),
    ({"agent_id": 9}, 301002),
    ({"agent_id": constants.OTHER_AGENT_ID}, 301002),
]


@pytest.mark.parametrize(("changes", "errcode"), SETTINGS)
def test_wrong_settings_stop_the_channel(wecom_sandbox: Running, changes: dict[str, Any], errcode: int) -> None:
    with pytest.raises(errors.Misconfigured) as refused:
        connected(wecom_sandbox, **changes).send([NURSE], text())
    assert refused.value.errcode == errcode


def test_an_address_that_is_not_trusted_is_named(wecom_sandbox: Running, wecom: WeCom) -> None:
    wecom_sandbox.control.agent(agentid=AGENT, addresses=["203.0.113.1"])
    with pytest.raises(errors.Misconfigured, match=re.escape("请在企业微信管理后台添加：127.0.0.1（")):
        wecom.send([NURSE], text())


def test_a_card_with_buttons_needs_an_address_for_callbacks(wecom_sandbox: Running) -> None:
    with pytest.raises(errors.Misconfigured, match="接收消息"):
        connected(wecom_sandbox).send([NURSE], message())


def test_nobody_of_those_named(wecom: WeCom) -> None:
    with pytest.raises(errors.NoRecipient):
        wecom.send(["nobody", "noone"], text())


@pytest.mark.usefixtures("callbacks")
def test_a_bad_card_is_refused_for_good(wecom: WeCom) -> None:
    bad = message()
    bad["template_card"]["button_list"] = []
    with pytest.raises(errors.Refused):
        wecom.send([NURSE], bad)
    with pytest.raises(errors.Refused):
        wecom.send([NURSE], {"msgtype": "markdown", "markdown": {"content": "长" * 700}})


CALLS: list[tuple[str, Callable[[WeCom], object]]] = [
    ("message/send", lambda wecom: wecom.send([NURSE], text())),
    ("message/update_template_card", lambda wecom: wecom.update_card("code", [NURSE], card())),
    ("message/recall", lambda wecom: wecom.recall("m")),
    ("department/list", lambda wecom: wecom.departments()),
    ("user/list", lambda wecom: wecom.members(1)),
    ("user/get", lambda wecom: wecom.member(NURSE)),
    ("user/list_id", lambda wecom: wecom.member_ids()),
    ("tag/list", lambda wecom: wecom.tags()),
    ("tag/get", lambda wecom: wecom.tagged(1)),
    ("auth/getuserinfo", lambda wecom: wecom.who("c")),
    ("auth/getuserdetail", lambda wecom: wecom.detail("t")),
    ("agent/get", lambda wecom: wecom.visible(NURSE)),
    ("get_jsapi_ticket", lambda wecom: wecom.js_config("https://oa.example/")),
    ("ticket/get", lambda wecom: wecom.agent_js_config("https://oa.example/")),
    ("agent/set_workbench_template", lambda wecom: wecom.workbench_template()),
    ("agent/set_workbench_data", lambda wecom: wecom.workbench(NURSE, [])),
    ("appchat/create", lambda wecom: wecom.create_chat("a", NURSE, [NURSE, HEAD_NURSE], "c")),
    ("appchat/send", lambda wecom: wecom.send_chat("c", text())),
    ("appchat/get", lambda wecom: wecom.chat("c")),
    ("media/upload", lambda wecom: wecom.upload("file", "a", PDF)),
    ("media/get", lambda wecom: wecom.download("m")),
    ("get_api_domain_ip", lambda wecom: wecom.api_addresses()),
    ("getcallbackip", lambda wecom: wecom.callback_addresses()),
    ("gettoken", lambda wecom: wecom.send([NURSE], text())),
]


def test_each_endpoint_says_whose_turn_it_is(wecom_sandbox: Running) -> None:
    """Each is asked with another client, so that no token and no ticket is kept."""
    faults: list[tuple[dict[str, Any], type[errors.WeComError]]] = [
        ({"errcode": 45009}, errors.Later),
        ({"errcode": 45033}, errors.Later),
        ({"errcode": -1, "times": 3}, errors.Later),
        ({"status": 502}, errors.Later),
        ({"reset": True}, errors.Later),
        ({"errcode": 60020}, errors.Misconfigured),
        ({"errcode": 987654}, errors.Refused),
    ]
    for endpoint, call in CALLS:
        apart = endpoint.startswith(("agent/set_workbench", "appchat/"))  # WeCom grants these by themselves
        ungranted = errors.Refused if apart else errors.Misconfigured
        for fault, kind in [*faults, ({"errcode": 48002}, ungranted)]:
            wecom_sandbox.control.clear_faults()
            wecom_sandbox.control.fault(endpoint=endpoint, **fault)
            with pytest.raises(kind) as refused:
                call(connected(wecom_sandbox))
            assert refused.value.errcode == fault.get("errcode"), (endpoint, fault)
            assert endpoint in str(refused.value)
