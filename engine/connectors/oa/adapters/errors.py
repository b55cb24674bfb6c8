"""What an OA's refusals mean: sorted in one place for every kind.

The products answer in sentences, few of them numbered, so sentences are what is looked at: parts that keep standing in
them from version to version. What no table knows is a refusal of this one item.
"""

from engine.connectors.oa.adapters.http import Answer, by_status, clipped
from engine.connectors.oa.adapters.protocol import Unknown, UnknownPerson
from engine.outbox import Configuration, Permanent, Transient


class UnknownCreator(Permanent):
    """The OA has nobody by the account of who sent the item on (OA 中没有上一办理人)."""


# In this order: the first that matches tells. A message about a creator isn't one about the person it waits for.
_TABLE: tuple[tuple[type[Exception], tuple[str, ...]], ...] = (
    (Transient, ("系统繁忙", "服务繁忙", "服务器繁忙", "请求过于频繁", "访问过于频繁", "稍后再试", "稍后重试",
                 "正在维护", "正在启动", "超过最大连接", "deadlock", "lock wait timeout", "too many connections",
                 "too many requests", "connection pool", "could not open connection", "service unavailable")),
    (Configuration, ("统一待办中心未启用", "未注册", "未授权", "没有授权", "未开启", "已停用", "白名单", "ip受限",
                     "不允许访问", "拒绝访问", "没有访问权限", "无访问权限", "无权访问", "用户名或密码", "帐号或密码",
                     "账号或密码", "用户名密码", "密码错误", "密码不正确", "认证失败", "鉴权失败", "身份验证失败",
                     "签名错误", "registercode", "access denied", "unauthorized", "not authorized", "authentication",
                     "authenticate", "forbidden", "invalid password", "bad credentials")),
    (UnknownCreator, ("创建人不存在", "创建者不存在")),
    (UnknownPerson, ("接收人不存在", "接收者不存在", "接收人无效", "人员不存在", "用户不存在", "账号不存在",
                     "帐号不存在", "待办人不存在", "所属人不存在", "找不到用户", "找不到人员", "找不到对应的人员",
                     "找不到对应的组织架构", "未找到用户", "未找到人员", "未找到对应的人员", "无此用户",
                     "没有此用户", "没有该用户", "没有找到用户", "没有找到人员", "user not found",
                     "user does not exist", "no such user")),
)  # fmt: skip
_TOLD = {
    Configuration: "OA 不接受我们的请求，请照它的提示在 OA 或站点设置里改正",
    UnknownPerson: "OA 里没有这个账号，请在“账号对照”里改正",
    UnknownCreator: "OA 里没有上一办理人的账号，请在“账号对照”里改正",
    Permanent: "OA 拒绝了这一项",
    Transient: "OA 暂时办不了",
    Unknown: "OA 出错，不知是否已生效",
}


def sorted_message(text: str, unknown: type[Exception] = Permanent) -> type[Exception]:
    """Return the class of error that a message of an OA stands for, `unknown` for one that no table knows."""
    found = text.lower()
    for kind, parts in _TABLE:
        if any(part in found for part in parts):
            return kind
    return unknown


def refused(text: str, *hidden: str, unknown: type[Exception] = Permanent) -> Exception:
    """Return the error for a refusal in the OA's own words.

    `hidden` is what the OA may repeat of the request and nobody else is to read: titles, accounts, secrets.
    """
    kind = sorted_message(_without(text, hidden), unknown)
    return kind(f"{_TOLD[kind]}：{clipped(text, *hidden) or '没有说明原因'}")


def failed(answer: Answer, *hidden: str) -> Exception:
    """Return the error for an HTTP answer that isn't one of success: by its words where the table knows them."""
    words = answer.words()
    if sorted_message(_without(words, hidden), Exception) is Exception:
        return by_status(answer, clipped(words, *hidden))
    return refused(words, *hidden)


def _without(text: str, hidden: tuple[str, ...]) -> str:
    for part in hidden:
        text = text.replace(part, "") if part else text
    return text
