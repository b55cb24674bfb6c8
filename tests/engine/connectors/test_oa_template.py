"""An OA that a site's file describes: mistakes told when it is read, no way out of the sandbox, answers understood."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine import outbox
from engine.connectors.oa.adapters import moments
from engine.connectors.oa.adapters.protocol import State, Todo, Unknown, UnknownPerson
from engine.connectors.oa.adapters.rendering import FILTERS, MAX_RENDERED, Mistake, Text
from engine.connectors.oa.adapters.template import TemplateOA
from engine.connectors.oa.adapters.template_site import TemplateSite
from tests.engine.connectors.conftest import Listener, Raw

MOMENT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
KNOWN = frozenset({"title", "at", "number", "todo", "state"})
PUT = "/todos/" + "1" * 32
ALL = list(State)
TITLE = "王小明的年假申请"

Made = Callable[..., TemplateOA]


def interface(**changed: Any) -> dict[str, Any]:
    """A small interface; `changed` replaces parts of it."""
    put = {"states": ALL, "url": "/todos/{{ todo.key }}", "body": '{"t": {{ todo.title|tojson }}}'}
    return {
        "success": "answer.code = 0",
        "message": "answer.msg",
        "check": {"method": "GET", "url": "/ping"},
        "put": [put],
    } | changed


def site(url: str = "http://127.0.0.1:1", **changed: Any) -> TemplateSite:
    given = {"code": "old", "folder": Path(), "kind": "template", "name": "旧 OA", "address": url, "timeout": 2.0}
    return TemplateSite.model_validate(
        given | {"user": "piyue", "password": "canary-password", "template": interface(**changed)}
    )


@pytest.fixture
def made(listener: Listener) -> Iterator[Made]:
    """Adapters for the listener, closed at the end."""
    with ExitStack() as stack:
        yield lambda **changed: stack.enter_context(closing(TemplateOA(site(listener.url, **changed), lambda: None)))


def todo(**changed: Any) -> Todo:
    given: dict[str, Any] = {"key": "1" * 32, "account": "2001", "person": "李医生", "title": TITLE, "workflow": "请假"}
    given |= {"node": "审批", "sender": "王护士", "sender_account": "2002", "urgency": 2, "started_at": MOMENT}
    given |= {"opened_at": MOMENT, "link": "https://a/b", "mobile_link": "", "kind": "decide", "stamp": 7}
    return Todo(**given | changed)


def mistake(**changed: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        site(**changed)
    return str(raised.value.errors()[0]["msg"])


# Templates


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ title|tojson }}", '"\\"年假\\" <a>&"'),
        ("{{ title|urlencode }}", "%22%E5%B9%B4%E5%81%87%22%20%3Ca%3E%26"),
        ("<a>{{ title|xml }}</a>", "<a>&quot;年假&quot; &lt;a&gt;&amp;</a>"),
        ("{{ at|moment }}", "2026-03-02 09:30:00"),
        ('{{ at|moment("%Y%m%d") }}', "20260302"),
        ("{{ at|ms }}", "1772415000000"),
        ('{{ ["普通", "平急", "加急"][number] }}', "加急"),
        ('{{ {2: "b"}[number] }}', "b"),
        ("{% if number > 1 %}急{% else %}不急{% endif %}", "急"),
        ('{{ "急" if number > 1 and not number > 5 else "" }}', "急"),
        ("{{ title[:3]|upper ~ number }}", '"年假2'),
        ("{{ ('a' ~ number)|md5 }}", hashlib.md5(b"a2", usedforsecurity=False).hexdigest()),
        ("{{ number|sha256 }}", hashlib.sha256(b"2").hexdigest()),
        ('{{ number|hmac_sha256("key") }}', hmac.new(b"key", b"2", "sha256").hexdigest()),
        ('{{ ("u:" ~ number)|base64 }}', "dToy"),
    ],
)
def test_a_template_says_what_an_oa_wants_to_hear(source: str, text: str) -> None:
    assert Text(source, KNOWN).render({"title": '"年假" <a>&', "at": MOMENT, "number": 2}) == text


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(1000000000) %}{% endfor %}",
        "{% for a in title %}{% for b in title %}{% endfor %}{% endfor %}",
        "{{ 'a' * 1000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{% set a = title %}{% set a = a ~ a %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ title.__class__.__mro__ }}",
        "{{ title|attr('__class__') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ title|replace('a', title) }}",
        "{{ title" + "|tojson" * 30 + " }}",
        "{{ todo.key.encode() }}",
        "x" * 30_000,
        "{{ unknown }}",
        "{{ title }",
        "{{ title|nothing }}",
    ],
)
def test_no_template_hangs_grows_or_looks_around(source: str) -> None:
    """Each is refused: when it is read or, where only its value tells, when it is filled in."""
    with pytest.raises(Mistake) as raised:
        Text(source, KNOWN).render({"title": "canary" * 1000, "at": MOMENT, "number": 2, "todo": todo()})
    assert "canary" not in str(raised.value)


def test_a_text_that_becomes_too_long_is_not_sent() -> None:
    with pytest.raises(Mistake, match="256 KB"):
        Text("{{ title }}" * 10, KNOWN).render({"title": "x" * (MAX_RENDERED // 9)})
    with pytest.raises(Mistake, match="256 KB"):
        Text("{{ title|tojson|tojson|tojson }}", KNOWN).render({"title": '"' * 100_000})


def test_filters_are_named_where_one_is_unknown() -> None:
    with pytest.raises(Mistake) as raised:
        Text("{{ title|json }}", KNOWN)
    assert all(name in str(raised.value) for name in FILTERS)


# Mistakes in the file, told when it is read


def put(**changed: Any) -> list[dict[str, Any]]:
    return [{"states": ALL, "url": "/todos/{{ todo.key }}"} | changed]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"put": put(url="http://elsewhere.example/")}, "以 / 开头"),
        ({"put": put(url="{{ todo.link }}")}, "以 / 开头"),
        ({"put": put(url="/a?t={{ todo.title }}")}, "urlencode"),
        ({"put": put(url="/a/../../b")}, "不允许的字符"),
        ({"put": put(body='{"t": "{{ todo.title }}"}')}, "tojson"),
        ({"put": put(body='{"t": {{ todo.title|tojson }},}')}, "不是 JSON"),
        ({"put": put(body="{{ todo.titel|tojson }}")}, "titel"),
        ({"put": put(body="{{ account|tojson }}")}, "不认识“account”"),
        ({"put": put(headers={"X-Title": "{{ todo.title }}"})}, "headers.X-Title"),
        ({"put": put(headers={"X Title": "a"})}, "请求头的名字"),
        ({"put": put(states=["todo", "done"])}, "没有状态 deleted"),
        ({"put": put() + put()}, "已在前面写过"),
        ({"put": put(success="answer.code == 0")}, "success：公式写得不对"),
        ({"success": "anser.code = 0"}, "不认识“anser”"),
        ({"message": "answer."}, "message：公式写得不对"),
        ({"check": {"url": "/x?u={{ todo.key }}"}}, r"\[template.check\]"),
        ({"repeatable": False}, r"\[template.shown\]"),
        ({"check": {"url": "/x", "headers": {"T": "{{ token }}"}}}, "不认识“token”"),
        (
            {"shown": {"url": "/x", "rows": "answer", "key": "rw.key", "title": "row.t"}},
            r"\[template.shown\].*key.*“rw”",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_cure(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        site(**changed)


def test_a_mistake_is_told_in_chinese_and_without_the_secret() -> None:
    told = mistake(put=put(body="{{ password.nothing|tojson }}"))
    assert "第 1 个 [[template.put]]：body" in told
    assert "canary" not in told


# What answers mean


def test_an_item_is_put_as_the_file_says(made: Made, listener: Listener) -> None:
    headers = {"Authorization": "Basic {{ (user ~ ':' ~ password)|base64 }}"}
    oa = made(headers=headers, put=put(method="PUT", body='{"s": {{ state|tojson }}, "t": {{ todo.title|tojson }}}'))
    listener.answer(PUT, {"code": 0})

    oa.put(todo(title='"<&>😀\x00\ud83d'), State.FINISHED)

    heard = listener.last(PUT)
    assert (heard.method, heard.body.decode()) == ("PUT", '{"s": "finished", "t": "\\"<&>😀"}')
    assert heard.headers["Authorization"] == "Basic cGl5dWU6Y2FuYXJ5LXBhc3N3b3Jk"
    assert heard.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"code": 1, "msg": "系统未注册"}, outbox.Configuration),
        ({"code": 1, "msg": "没有这个人"}, UnknownPerson),
        ({"code": 1, "msg": "正忙"}, outbox.Transient),
        ({"code": 1, "msg": "标题太长"}, outbox.Permanent),
        ({"code": 1}, Unknown),
        ({}, Unknown),
        ([], Unknown),
        (Raw(b"<html>ok</html>"), Unknown),
        (Raw(b'{"code": 0}', 500), Unknown),
        (Raw('{"msg": "正忙"}'.encode(), 500), outbox.Transient),
        (Raw(b"{}", 401), outbox.Configuration),
        (Raw('{"msg": "没有这个人"}'.encode(), 422), UnknownPerson),
        (Raw('{"msg": "不行"}'.encode(), 422), outbox.Permanent),
        (Raw(b"", 204), Unknown),
    ],
)
def test_an_answer_is_sorted_by_the_file_s_words(
    made: Made, listener: Listener, answer: object, kind: type[Exception]
) -> None:
    errors = {"configuration": ["未注册"], "unknown_person": ["没有这个人"], "transient": ["正忙"]}
    listener.answer(PUT, answer)
    with pytest.raises(kind) as raised:
        made(errors=errors).put(todo(), State.TODO)
    assert type(raised.value) is kind


def test_a_refusal_that_says_it_is_so_already_is_a_success(made: Made, listener: Listener) -> None:
    listener.answer(PUT, {"code": 9, "msg": "待办已关闭"})
    made(put=put(already=["已关闭"])).put(todo(), State.DONE)


def test_a_title_does_not_say_what_an_answer_means(made: Made, listener: Listener) -> None:
    """Anybody can write one: the channel would pause for all, or the item be taken for closed."""
    oa = made(put=put(already=["已关闭"]), errors={"configuration": ["未注册"], "transient": ["正忙"]})
    for words in ("已关闭", "未注册", "正忙"):
        title = f"关于{words}的说明"
        for told in (title, title[:6]):
            listener.answer(PUT, {"code": 9, "msg": f"标题【{told}】不行"})
            with pytest.raises(outbox.Permanent):
                oa.put(todo(title=title), State.TODO)


@pytest.mark.parametrize(
    "odd",
    ["0001-01-01 00:00:00", "9999-12-31 23:59:59", "9999-12-31T23:59:59-12:00", 253402300799999, "1" * 5000, -1e300],
)
def test_a_moment_that_is_none_of_a_hospital_s_is_not_read(odd: object) -> None:
    """None that is read is too early or too late to be stored, or to be shown in local time."""
    assert moments.read(odd) is None


def test_no_error_repeats_a_title_or_a_secret(made: Made, listener: Listener) -> None:
    listener.answer(PUT, {"code": 9, "msg": f"“{TITLE}”不行，密码 canary-password"})
    with pytest.raises(outbox.Permanent) as raised:
        made().put(todo(), State.TODO)
    assert "“…”不行，密码 …" in str(raised.value)


def test_an_oa_may_answer_in_plain_text(made: Made, listener: Listener) -> None:
    oa = made(answers="text", success='text = "OK"', message="text")
    listener.answer(PUT, Raw(b"OK"), Raw("失败".encode()), Raw(b"<html>OK</html>"))
    oa.put(todo(), State.TODO)
    with pytest.raises(outbox.Permanent, match="失败"):
        oa.put(todo(), State.TODO)
    with pytest.raises(Unknown):
        oa.put(todo(), State.TODO)


# Logging in


LOGIN = {
    "url": "/login",
    "body": '{"p": {{ password|tojson }}}',
    "token": "answer.token",
    "expired": "answer.code = 40001",
}


def test_a_token_is_asked_for_once_and_renewed_once(made: Made, listener: Listener) -> None:
    oa = made(login=LOGIN, headers={"X-Token": "{{ token }}"})
    listener.answer("/login", {"code": 0, "token": "token-1"}, {"code": 0, "token": "token-2"})
    listener.answer(PUT, {"code": 0}, {"code": 40001, "msg": "过期"}, {"code": 0})

    oa.put(todo(), State.TODO)
    oa.put(todo(), State.TODO)

    assert [heard.headers.get("X-Token") for heard in listener.heard if heard.endpoint == PUT] == [
        "token-1",
        "token-1",
        "token-2",
    ]
    assert listener.count("/login") == 2


def test_a_token_that_is_never_good_ends(made: Made, listener: Listener) -> None:
    oa = made(login=LOGIN, headers={"X-Token": "{{ token }}"}, errors={"configuration": ["过期"]})
    listener.answer("/login", {"code": 0, "token": "token-1"})
    listener.answer(PUT, {"code": 40001, "msg": "token-1 过期"})
    with pytest.raises(outbox.Configuration) as raised:
        oa.put(todo(), State.TODO)
    assert "token-1" not in str(raised.value)
    assert listener.count(PUT) == 2


def test_a_login_without_a_token_is_a_matter_of_settings(made: Made, listener: Listener) -> None:
    listener.answer("/login", {"code": 0})
    with pytest.raises(outbox.Configuration, match=r"login\.token"):
        made(login=LOGIN).put(todo(), State.TODO)


# Lists


SHOWN = {
    "method": "GET",
    "url": "/shown?u={{ account|urlencode }}&p={{ page }}",
    "rows": "answer.rows",
    "more": "answer.more",
}
SHOWN |= {"key": "row.k", "title": "row.t", "received_at": "row.at"}


def test_an_oa_that_would_show_it_twice_is_asked_first(made: Made, listener: Listener) -> None:
    oa = made(repeatable=False, shown=SHOWN)
    listener.answer(PUT, {"code": 0})
    listener.answer("/shown", {"code": 0, "rows": [{"k": "1" * 32, "t": "a"}]}, {"code": 0, "rows": []})

    oa.put(todo(), State.TODO, doubtful=True)
    assert listener.count(PUT) == 0
    oa.put(todo(), State.TODO, doubtful=True)
    assert listener.count(PUT) == 1
    oa.put(todo(), State.TODO)
    assert (listener.count(PUT), listener.count("/shown")) == (2, 2)


def test_moments_are_read_as_oas_write_them(made: Made, listener: Listener) -> None:
    oa = made(shown=SHOWN)
    written = ["2026-03-02 09:30:00", "2026-03-02T09:30:00+08:00", "2026-03-02T01:30:00Z", 1772415000, 1772415000000]
    written += ["1772415000000"]
    rows = [{"k": str(number), "t": "a", "at": at} for number, at in enumerate([*written, "gestern", None, {}])]
    listener.answer("/shown", {"code": 0, "rows": rows})

    moments = [row.received_at for row in oa.shown("2001")]

    assert moments == [MOMENT] * len(written) + [None] * 3


def test_a_list_without_an_end_is_not_read_for_ever(made: Made, listener: Listener) -> None:
    listener.answer("/shown", {"code": 0, "rows": [{"k": "a", "t": "a"}], "more": True})
    with pytest.raises(Unknown, match="页"):
        made(shown=SHOWN).shown("2001")
    assert listener.count("/shown") == 100


@pytest.mark.parametrize("answer", [{"code": 0}, {"code": 0, "rows": 1}, {"code": 0, "rows": None}])
def test_a_list_that_is_none_is_not_taken_for_an_empty_one(made: Made, listener: Listener, answer: object) -> None:
    listener.answer("/shown", answer)
    with pytest.raises(Unknown, match=r"shown\.rows"):
        made(shown=SHOWN).shown("2001")
