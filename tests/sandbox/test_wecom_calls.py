"""What is the same for every call: tokens, addresses, methods, rates, and faults that are injected."""

import threading
import time

import pytest
import requests

from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.conftest import NURSE, Client, refusal


def test_a_token_is_given_out_and_stays_the_same_while_it_lasts(wecom_sandbox: Running, client: Client) -> None:
    first = client.fetch_access_token()
    assert (first["expires_in"], len(first["access_token"])) == (7200, 48)
    wecom_sandbox.control.advance(seconds=7100)
    again = client.fetch_access_token()
    assert again["access_token"] == first["access_token"]
    assert again["expires_in"] <= 100
    wecom_sandbox.control.advance(seconds=100)
    assert client.fetch_access_token()["access_token"] != first["access_token"]


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ({}, 41002),
        ({"corpid": constants.CORP_ID}, 41004),
        ({"corpid": "wwother", "corpsecret": constants.AGENT_SECRET}, 40013),
        ({"corpid": constants.CORP_ID, "corpsecret": "wrong"}, 40001),
    ],
)
def test_no_token_without_the_right_words(wecom_sandbox: Running, query: dict[str, str], errcode: int) -> None:
    answer = requests.get(f"{wecom_sandbox.url}/cgi-bin/gettoken", params=query, timeout=10)
    assert (answer.status_code, answer.json()["errcode"]) == (200, errcode)


def test_a_token_expires_and_may_be_revoked_before(wecom_sandbox: Running, client: Client) -> None:
    assert client.refused("department/list", access_token="invented") == 40014
    assert requests.get(f"{wecom_sandbox.url}/cgi-bin/department/list", timeout=10).json()["errcode"] == 41001
    assert client.department.get()
    wecom_sandbox.control.advance(seconds=7200)
    assert refusal(client.department.get) == 42001
    client.fetch_access_token()
    assert client.department.get()
    wecom_sandbox.control.revoke_tokens(agentid=constants.AGENT_ID)
    assert refusal(client.department.get) == 40014


def test_every_secret_has_a_token_of_its_own(wecom_sandbox: Running, client: Client, contacts: Client) -> None:
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    assert len({client.access_token, contacts.access_token, other.access_token}) == 3
    assert refusal(lambda: client.message.send_text(constants.OTHER_AGENT_ID, NURSE, "hello")) == 301002
    assert refusal(lambda: contacts.message.send_text(constants.AGENT_ID, NURSE, "hello")) == 301002


def test_only_trusted_addresses_where_there_are_some(wecom_sandbox: Running, client: Client) -> None:
    assert client.department.get()
    wecom_sandbox.control.agent(agentid=constants.AGENT_ID, addresses=["10.1.2.3"])
    assert refusal(client.department.get) == 60020
    assert client.fetch_access_token(), "a token is given to any address"
    wecom_sandbox.control.agent(agentid=constants.AGENT_ID, addresses=["10.1.2.3", "127.0.0.1"])
    assert client.department.get()


def test_paths_methods_and_bodies_that_do_not_exist(wecom_sandbox: Running, client: Client) -> None:
    assert client.refused("department/list", {}) == 43001
    assert client.refused("message/send") == 43002
    url = f"{wecom_sandbox.url}/cgi-bin/message/send?access_token={client.access_token}"
    for body in (b"{", b"[]", b"\xff\xfe"):
        assert requests.post(url, data=body, timeout=10).json()["errcode"] == 47001
    assert requests.get(f"{wecom_sandbox.url}/cgi-bin/no/such", timeout=10).status_code == 404


def test_the_rates_of_an_api_an_hour_and_an_address(wecom_sandbox: Running, client: Client) -> None:
    assert client.department.get()
    for limit in ("api_minute", "api_hour", "address_minute"):
        wecom_sandbox.control.limits(**{limit: 3})
        wecom_sandbox.control.advance(seconds=3601)
        client.fetch_access_token()
        assert all(client.department.get() for _ in range(3))
        assert refusal(client.department.get) == 45009, limit
        assert client.user.get(NURSE), "each api has its own count"
        wecom_sandbox.control.advance(seconds=3601 if limit == "api_hour" else 61)
        client.fetch_access_token()
        assert client.department.get()
        wecom_sandbox.control.limits(**{limit: 10_000})


def test_too_many_calls_at_the_same_time(wecom_sandbox: Running, client: Client) -> None:
    wecom_sandbox.control.limits(concurrent=2)
    wecom_sandbox.control.fault(endpoint="department/simplelist", latency=1.0, times=2)
    token, codes = client.access_token, []
    url = f"{wecom_sandbox.url}/cgi-bin/department/simplelist?access_token={token}"

    def ask() -> None:
        codes.append(requests.get(url, timeout=10).json()["errcode"])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    while wecom_sandbox.state.faults:
        time.sleep(0.01)  # until both are on their way
    ask()
    for thread in threads:
        thread.join()
    assert codes == [45033, 0, 0]


def test_injected_errors_come_as_often_as_was_said(wecom_sandbox: Running, client: Client) -> None:
    client.fetch_access_token()
    wecom_sandbox.control.fault(endpoint="department/list", errcode=-1, times=2)
    wecom_sandbox.control.fault(endpoint="*", status=503)
    assert refusal(client.department.get) == -1
    assert refusal(client.department.get) == -1
    answer = requests.get(f"{wecom_sandbox.url}/cgi-bin/department/list", timeout=10)
    assert answer.status_code == 503
    assert client.department.get()
    wecom_sandbox.control.fault(endpoint="*", errcode=-1, times=100)
    wecom_sandbox.control.clear_faults()
    assert client.department.get()


def test_a_reset_has_no_effect_and_a_silence_has_one(wecom_sandbox: Running, client: Client) -> None:
    wecom_sandbox.control.fault(endpoint="message/send", reset=True)
    with pytest.raises(requests.ConnectionError):
        client.message.send_text(constants.AGENT_ID, NURSE, "lost")
    assert wecom_sandbox.control.messages(userid=NURSE) == []
    wecom_sandbox.control.fault(endpoint="message/send", silent=0.2)
    with pytest.raises(requests.ConnectionError):
        client.message.send_text(constants.AGENT_ID, NURSE, "arrived")
    assert [m["content"]["content"] for m in wecom_sandbox.control.messages(userid=NURSE)] == ["arrived"]
    wecom_sandbox.control.fault(endpoint="message/send", silent=30)
    with pytest.raises(requests.ReadTimeout):
        client.post("message/send", data=text("arrived too"), timeout=0.5)
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 2


def test_calls_are_counted(wecom_sandbox: Running, client: Client) -> None:
    client.message.send_text(constants.AGENT_ID, [NURSE, "10026"], "hello")
    client.refused("message/send", {"agentid": constants.AGENT_ID})
    told = wecom_sandbox.control.statistics()
    assert told["endpoints"] == {"gettoken": 1, "message/send": 2}
    assert told["codes"] == {"gettoken 0": 1, "message/send 0": 1, "message/send 81012": 1}
    endpoint, at, _, agentid, errcode, people = told["calls"][1]
    assert (endpoint, agentid, errcode, people) == ("message/send", constants.AGENT_ID, 0, 2)
    assert wecom_sandbox.control.statistics(since=at + 0.0001)["endpoints"] == {"message/send": 1}


def test_a_reset_of_everything(wecom_sandbox: Running, client: Client) -> None:
    client.message.send_text(constants.AGENT_ID, NURSE, "hello")
    wecom_sandbox.control.delete_member(userid=NURSE)
    wecom_sandbox.control.advance(seconds=100)
    wecom_sandbox.control.reset()
    assert wecom_sandbox.state.offset == 0
    assert refusal(lambda: client.user.get(NURSE)) == 40014
    client.fetch_access_token()
    assert client.user.get(NURSE)["name"]
    assert wecom_sandbox.control.messages(userid=NURSE) == []


def test_the_control_api_is_for_programs_on_this_machine(wecom_sandbox: Running) -> None:
    url = f"{wecom_sandbox.url}/control/reset"
    assert requests.post(url, timeout=10).status_code == 200
    assert requests.post(url, headers={"Origin": "https://elsewhere.example"}, timeout=10).status_code == 403
    told = requests.post(f"{wecom_sandbox.url}/control/nonsense", timeout=10)
    assert (told.status_code, "advance" in told.json()["commands"]) == (404, True)
    for body in (b"{", b"[]", b'{"x": 1}'):
        assert requests.post(f"{wecom_sandbox.url}/control/advance", data=body, timeout=10).status_code == 400


def text(content: str, to: str = NURSE) -> dict[str, object]:
    return {"touser": to, "agentid": constants.AGENT_ID, "msgtype": "text", "text": {"content": content}}
