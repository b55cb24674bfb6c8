"""What an OA's refusals mean: sorted in one place for every kind.

The products answer in sentences, few of them numbered, so sentences are what is looked at: parts that keep standing in
them from version to version. What no table knows is a refusal of this one item.
"""

import re
from collections.abc import Iterable

from engine.connectors.oa.adapters.http import Answer, by_status, clipped
from engine.connectors.oa.adapters.protocol import Unknown, UnknownPerson
from engine.outbox import Configuration, Permanent, Transient


class UnknownCreator(Permanent):
    """The OA has nobody by the account of who sent the item on (OA 中没有上一办理人)."""


class Missing(Permanent):
    """The OA doesn't have the item that it was to change or delete (OA 中没有这一项)."""


# In this order: the first that matches tells. A message about a creator isn't one about the person it waits for.
_TABLE: tuple[tuple[type[Exception], tuple[str, ...]], ...] = (
    (Transient, ("(系统|服务|服务器)繁忙", "过于频繁", "稍后(再试|重试)", "正在(维护|启动)", "超过最大连接", "deadlock",
                 "lock wait timeout", "too many (connections|requests)", "connection pool",
                 "could not open connection", "service unavailable")),
    (Configuration, ("统一待办中心未启用", "(未|没有)(注册|授权|开启)", "已停用", "白名单", "ip受限",
                     "异构系统标识.*不允许", "不允许访问", "拒绝访问", "没有访问权限", "无访问权限", "无权访问",
                     "(用户名|帐号|账号)或?密码", "密码(错误|不正确)", "(认证|鉴权|身份验证|签名验证)失败", "签名错误",
                     "registercode", "access denied", "(not |un)authorized", "authenticat", "forbidden",
                     "invalid password", "bad credentials")),
    (UnknownCreator, ("创建(人|者)不存在",)),
    (UnknownPerson, ("接收(人|者)(【[^】]*】)?(不存在|无效)", "(人员|用户|账号|帐号|待办人|所属人)不存在",
                     "(找不到|未找到|没有找到|无此|没有此|没有该)(对应的)?(用户|人员|组织架构|账号|帐号)",
                     "(user|person) (not found|does not exist)", "no such (user|person)")),
    (Missing, ("(流程数据|流程|待办|任务).*不存在", "(找不到|未找到|没有找到).*(流程|待办|任务)")),
)  # fmt: skip
_EDGE = 3  # characters
_PATTERNS = [(kind, re.compile("|".join(parts), re.IGNORECASE | re.DOTALL)) for kind, parts in _TABLE]
TOLD = {
    Configuration: "OA 不接受我们的请求，请照它的提示在 OA 或站点设置里改正",
    UnknownPerson: "OA 里没有这个账号，请在“账号对照”里改正",
    UnknownCreator: "OA 里没有上一办理人的账号，请在“账号对照”里改正",
    Missing: "OA 里没有这一项",
    Permanent: "OA 拒绝了这一项",
    Transient: "OA 暂时办不了",
    Unknown: "OA 出错，不知是否已生效",
}
"""What a person is told before the OA's own words: with the cure where we know one."""


def sorted_message(text: str, unknown: type[Exception] = Permanent, hidden: Iterable[str] = ()) -> type[Exception]:
    """Return the class of error that a message of an OA stands for, `unknown` for one that no table knows.

    `hidden`: as `refused`.
    """
    hidden = tuple(hidden)
    return next((kind for kind, pattern in _PATTERNS if says(pattern, text, hidden)), unknown)


def says(pattern: re.Pattern[str], text: str, hidden: Iterable[str]) -> bool:
    """Whether an OA says something in its own words, and not where it repeats what is `hidden`, or a part of that.

    Anybody can write a title: what stands there must not have the channel pause for all.
    """
    parts = [part.lower() for part in hidden if part]
    parts += ["".join(part.split()) for part in parts]
    text = text.lower()
    for part in parts:
        text = text.replace(part, "")
    return any(not _repeated(found, parts) for found in pattern.finditer(text))


def _repeated(found: re.Match[str], parts: Iterable[str]) -> bool:
    """Whether what was found begins or ends in one of these texts, as what is before or behind it tells."""
    text, (start, end) = found.string, found.span()
    edges = [text[start - 1 : min(start + _EDGE, end)]] if start else []
    edges += [text[max(end - _EDGE, start) : end + 1]] if end < len(text) else []
    return any(edge in part for edge in edges for part in parts)


def refused(text: str, *hidden: str, unknown: type[Exception] = Permanent) -> Exception:
    """Return the error for a refusal in the OA's own words.

    `hidden` is what the OA may repeat of the request and nobody else is to read: titles, accounts, secrets.
    """
    kind = sorted_message(text, unknown, hidden)
    return kind(f"{TOLD[kind]}：{clipped(text, *hidden) or '没有说明原因'}")


def failed(answer: Answer, *hidden: str) -> Exception:
    """Return the error for an HTTP answer that isn't one of success: by its words where the table knows them."""
    words = answer.words()
    if sorted_message(words, Exception, hidden) is Exception:
        return by_status(answer, *hidden)
    return refused(words, *hidden)
