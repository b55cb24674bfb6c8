"""What the OAs' refusals mean, by the words in which the products say them."""

import html

import httpx
import pytest

from engine.connectors.oa.adapters.errors import Missing, UnknownCreator, failed, refused, sorted_message
from engine.connectors.oa.adapters.http import Answer
from engine.connectors.oa.adapters.protocol import Unknown, UnknownPerson
from engine.outbox import Configuration, Permanent, Transient

MESSAGES = [
    ("统一待办中心未启用", Configuration),
    ("异构系统标识【piyue】未注册", Configuration),
    ("异构系统标识【piyue】当前IP（10.1.2.3）未授权", Configuration),
    ("异构系统标识【piyue】不允许接收流程数据", Configuration),
    ("认证失败：用户名或密码错误", Configuration),
    ("Access Denied for user piyue", Configuration),
    ("HTTP Status 401 - Unauthorized", Configuration),
    ("流程类型未填写", Permanent),
    ("流程标题未填写", Permanent),
    ("流程类型【请假】不允许接收流程数据", Permanent),  # others may be received
    ("流程数据【请假】检测isremark不合法", Permanent),
    ("流程数据【请假】检测viewtype不合法", Permanent),
    ("流程数据【请假】已存在", Permanent),
    ("方法sendTodo中,不允许待办上下文中“subject”信息为空!", Permanent),
    ("流程数据【请假】检测创建人不存在", UnknownCreator),
    ("流程数据【请假】检测接收人不存在", UnknownPerson),
    ("根据参数信息“{&quot;LoginName&quot;:&quot;9999&quot;}”找不到对应的组织架构人员", UnknownPerson),
    ("User not found: 9999", UnknownPerson),
    ("流程数据【0001】不存在", Missing),
    ("未找到对应的待办", Missing),
    ("系统繁忙，请稍后再试", Transient),
    ("Deadlock found when trying to get lock", Transient),
    ("", Permanent),
    ("java.lang.NullPointerException", Permanent),
]


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_messages_of_the_products_are_told_apart(message: str, kind: type[Exception]) -> None:
    assert sorted_message(message) is kind
    assert type(refused(message)) is kind


def test_what_no_table_knows_is_what_the_caller_takes_it_for() -> None:
    assert sorted_message("java.lang.NullPointerException", Unknown) is Unknown


def test_a_title_does_not_say_what_went_wrong() -> None:
    title = "关于系统未授权访问、用户名或密码错误的整改"
    error = refused(f"流程数据【{title}】检测接收人不存在", title)
    assert type(error) is UnknownPerson
    assert str(error) == "OA 里没有这个账号，请在“账号对照”里改正：流程数据【…】检测接收人不存在"


@pytest.mark.parametrize("words", ["未授权", "系统繁忙", "用户不存在", "签名错误"])
def test_a_title_does_not_say_what_went_wrong_however_the_oa_repeats_it(words: str) -> None:
    """Anybody can write one: the channel would pause for all for the sake of one item."""
    title = f"<急> 关于“{words}”的说明，{'很' * 40}长"
    for told in (html.escape(title), title[:20], title.replace(" ", "")):
        assert type(refused(f"流程标题【{told}】过长", title)) is Permanent
        answer = Answer(422, httpx.Headers(), f'{{"message": "标题【{told.replace(chr(34), "")}】过长"}}'.encode())
        assert type(failed(answer, title)) is Permanent


def test_an_error_quotes_one_short_line() -> None:
    text = str(refused("第一行\r\n\x00第二行\u2028" + "长" * 1000))
    assert "第一行 第二行 长长" in text
    assert len(text) < 250
    assert "没有说明原因" in str(refused(" "))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, '{"message":"异构系统标识【piyue】未注册"}', Configuration),
        (400, '{"error":"找不到用户 2001"}', UnknownPerson),
        (500, '{"error":"系统内部错误"}', Unknown),
        (502, "<html>Bad Gateway</html>", Unknown),
        (401, "", Configuration),
        (400, '{"error":"type"}', Permanent),
    ],
)
def test_an_http_error_means_what_its_words_say_or_else_its_status(
    status: int, body: str, kind: type[Exception]
) -> None:
    assert type(failed(Answer(status, httpx.Headers(), body.encode()))) is kind
