"""Contacts: what each secret may read, pages of ids, tags, and the events of every change."""

from typing import Any

import pytest

from sandbox.remote import Refused
from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.conftest import HEAD_NURSE, NURSE, App, Client, refusal

AGENT, CONTACTS = constants.AGENT_ID, constants.CONTACTS_ID
SECRETS = {"mobile", "email", "biz_mail", "gender", "avatar", "thumb_avatar"}


def test_an_app_reads_its_members_without_what_is_private(wecom_sandbox: Running, client: Client) -> None:
    member = client.user.get(NURSE)
    assert (member["userid"], member["name"], member["position"]) == (NURSE, "单晓燕", "护士")
    assert (member["direct_leader"], member["status"]) == ([HEAD_NURSE], 1)
    assert member["department"] == [member["main_department"]]
    assert not SECRETS & set(member)
    wecom_sandbox.control.agent(agentid=AGENT, sensitive=True)
    assert client.user.get(NURSE.lower())["email"] == f"{NURSE}@hospital.example"
    assert set(client.user.get(NURSE)) > SECRETS


def test_whom_an_app_can_not_read(wecom_sandbox: Running, client: Client) -> None:
    assert refusal(lambda: client.user.get("nobody")) == 60111
    assert client.refused("user/get") == 41009
    department = wecom_sandbox.state.members[HEAD_NURSE].main_department
    wecom_sandbox.control.agent(agentid=AGENT, users=[], parties=[department], tags=[])
    assert refusal(lambda: client.user.get("10001")) == 60011
    assert refusal(lambda: client.department.get(1)) == 60011
    assert {d["id"] for d in client.department.get()} == set(wecom_sandbox.state.below(department))
    assert client.user.get(NURSE)


def test_departments_are_a_tree_with_their_members(wecom_sandbox: Running, client: Client) -> None:
    departments = {d["id"]: d for d in client.department.get()}
    assert len(departments) == 61
    assert (departments[1]["name"], departments[1]["parentid"]) == ("演示医院", 0)
    assert all(d["parentid"] in departments for d in departments.values() if d["id"] != 1)
    ward = wecom_sandbox.state.members[NURSE].main_department
    assert departments[ward]["department_leader"] == ["10025"]
    people = client.user.list(ward)
    assert NURSE in {person["userid"] for person in people}
    assert [p["is_leader_in_dept"] for p in people if p["userid"] == "10025"] == [[1]]
    everyone = client.user.list(1, fetch_child=True, simple=True)
    assert len(everyone) == len(wecom_sandbox.state.members) == 1600
    assert set(everyone[0]) == {"userid", "name", "department", "open_userid"}
    below = client.get("department/simplelist", params={"id": departments[ward]["parentid"]})["department_id"]
    assert {"id": ward, "parentid": departments[ward]["parentid"], "order": departments[ward]["order"]} in below
    assert client.get("department/get", params={"id": ward})["department"]["name"] == departments[ward]["name"]
    assert refusal(lambda: client.user.list(999)) == 60123
    assert client.refused("user/list") == 41019


def test_the_contact_synchronisation_reads_ids_only(wecom_sandbox: Running, contacts: Client) -> None:
    for call in (
        lambda: contacts.user.get(NURSE),
        lambda: contacts.user.list(1),
        lambda: contacts.user.list(1, simple=True),
        contacts.department.get,
    ):
        assert refusal(call) == 48009
    assert len(contacts.get("department/simplelist")["department_id"]) == 61
    wecom_sandbox.control.agent(agentid=CONTACTS, sensitive=True)
    assert contacts.user.get(NURSE)["mobile"]


def test_ids_come_in_pages(wecom_sandbox: Running, client: Client, contacts: Client) -> None:
    found, cursor = [], ""
    for _ in range(10):
        page = contacts.post("user/list_id", data={"cursor": cursor, "limit": 700})
        found += [(pair["userid"], pair["department"]) for pair in page["dept_user"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    members = wecom_sandbox.state.members.values()
    assert found == [(m.userid, d) for m in members for d in m.departments]
    assert len(found) == 1630, "thirty have a second department"
    assert client.refused("user/list_id", {}) == 48002
    for limit in (0, 10_001, "1"):
        assert contacts.refused("user/list_id", {"limit": limit}) == 40058
    assert contacts.refused("user/list_id", {"cursor": "mine"}) == 60268


def test_tags(wecom_sandbox: Running, client: Client) -> None:
    tag = client.tag.create("值班")["tagid"]
    assert refusal(lambda: client.tag.create("值班")) == 40071
    assert refusal(lambda: client.tag.create("")) == 40072
    client.tag.update(tag, "总值班")
    assert client.tag.list() == [{"tagid": tag, "tagname": "总值班"}]
    assert client.tag.add_users(tag, [NURSE, "nobody"])["invalidlist"] == "nobody"
    client.post("tag/addtagusers", data={"tagid": tag, "partylist": [2, 3]})
    told = client.tag.get_users(tag)
    assert (told["tagname"], told["userlist"], told["partylist"]) == (
        "总值班",
        [{"userid": NURSE, "name": "单晓燕"}],
        [2, 3],
    )
    client.tag.delete_users(tag, [NURSE])
    assert client.tag.get_users(tag)["userlist"] == []
    assert refusal(lambda: client.tag.add_users(tag, ["nobody"])) == 40070
    assert refusal(lambda: client.tag.add_users(tag, [])) == 40063
    assert refusal(lambda: client.tag.add_users(tag, ["u"] * 1001)) == 81014
    client.tag.delete(tag)
    assert refusal(lambda: client.tag.get_users(tag)) == 40068
    assert client.refused("tag/get") == 41017


def test_every_change_is_told_with_ids_only(wecom_sandbox: Running, app: App) -> None:
    control = wecom_sandbox.control
    told: list[dict[str, Any]] = []

    def change(command: str, **arguments: Any) -> None:
        (number,) = getattr(control, command)(**arguments)["events"]
        event = app.event(len(told))
        assert (event.pop("FromUserName"), event.pop("Event")) == ("sys", "change_contact")
        assert "AgentID" not in event
        for name in ("ToUserName", "CreateTime", "MsgType"):
            event.pop(name)
        assert number == len(told) + 1
        told.append(event)

    change("add_department", id=100, name="夜门诊", parentid=1)
    change("add_member", userid="N1", name="新人", departments=[100])
    change("change_member", userid="n1", changes={"userid": "N2"})
    change("change_member", userid="N2", changes={"departments": [2, 100], "position": "护士"})
    change("change_tag", number=5, add_users=["N2"], add_parties=[2, 100])
    change("change_tag", number=5, remove_users=["N2"], remove_parties=[2])
    change("change_department", number=100, changes={"parentid": 3})
    change("delete_member", userid="N2")
    change("delete_department", number=100)
    assert told == [
        {"ChangeType": "create_party", "Id": "100", "ParentId": "1"},
        {"ChangeType": "create_user", "UserID": "N1", "Department": "100"},
        {"ChangeType": "update_user", "UserID": "N1", "NewUserID": "N2"},
        {"ChangeType": "update_user", "UserID": "N2", "Department": "2,100"},
        {"ChangeType": "update_tag", "TagId": "5", "AddUserItems": "N2", "AddPartyItems": "2,100"},
        {"ChangeType": "update_tag", "TagId": "5", "DelUserItems": "N2", "DelPartyItems": "2"},
        {"ChangeType": "update_party", "Id": "100", "ParentId": "3"},
        {"ChangeType": "delete_user", "UserID": "N2"},
        {"ChangeType": "delete_party", "Id": "100"},
    ]
    assert control.change_department(number=2, changes={"name": "别名"}) == {"events": []}, "names aren't told"
    assert control.change_member(userid=NURSE, changes={"name": "别名", "status": 2}) == {"events": []}


def test_who_is_renamed_keeps_what_is_theirs(wecom_sandbox: Running, client: Client) -> None:
    client.message.send_text(AGENT, NURSE, "x")
    wecom_sandbox.control.change_member(userid=NURSE, changes={"userid": "N27"})
    assert len(wecom_sandbox.control.messages(userid="n27")) == 1
    assert client.user.get("N27")["name"] == "单晓燕"
    assert refusal(lambda: client.user.get(NURSE)) == 60111
    assert client.message.send_text(AGENT, "n27", "y")["errcode"] == 0


@pytest.mark.parametrize(
    ("command", "arguments", "errcode"),
    [
        ("add_member", {"userid": NURSE, "name": "x", "departments": [1]}, "60102"),
        ("add_member", {"userid": "x", "name": "x", "departments": [999]}, "60123"),
        ("add_member", {"userid": "x", "name": "x", "departments": []}, "one department"),
        ("change_member", {"userid": NURSE, "changes": {"userid": HEAD_NURSE}}, "60102"),
        ("change_member", {"userid": NURSE, "changes": {"departments": []}}, "60123"),
        ("change_member", {"userid": NURSE, "changes": {"shoe_size": 41}}, "40058"),
        ("change_member", {"userid": "nobody", "changes": {}}, "60111"),
        ("delete_member", {"userid": "nobody"}, "60111"),
        ("add_department", {"id": 1, "name": "x", "parentid": 1}, "60008"),
        ("add_department", {"id": 100, "name": "x", "parentid": 999}, "60123"),
        ("change_department", {"number": 3, "changes": {"parentid": 3}}, "60010"),
        ("delete_department", {"number": 1}, "60007"),
        ("delete_department", {"number": 2}, "60005"),
        ("delete_department", {"number": 3}, "60006"),
        ("agent", {"agentid": AGENT, "users": ["nobody"]}, "60111"),
    ],
)
def test_changes_that_can_not_be(wecom_sandbox: Running, command: str, arguments: Any, errcode: str) -> None:
    with pytest.raises(Refused, match=errcode):
        getattr(wecom_sandbox.control, command)(**arguments)


def test_an_app_hears_who_newly_sees_it(wecom_sandbox: Running, app: App) -> None:
    wecom_sandbox.control.agent(agentid=AGENT, users=[NURSE, HEAD_NURSE], parties=[], tags=[])
    app.event(1597)
    app.events.clear()
    wecom_sandbox.control.agent(agentid=AGENT, users=[NURSE, "10001"])
    told = sorted((event["Event"], event["FromUserName"]) for event in (app.event(0), app.event(1)))
    assert told == [("subscribe", "10001"), ("unsubscribe", HEAD_NURSE)]
