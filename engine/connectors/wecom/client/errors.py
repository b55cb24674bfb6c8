"""WeCom's refusals by `errcode`: what passes, what never will, and what an administrator must mend.

Texts of WeCom differ between its documents and its answers, so nothing else is branched on. Each refusal is one of
the outbox's errors: `Later` is tried again, `Refused` is a dead letter, `Misconfigured` stops the channel until
somebody has mended the settings. No message names a person or a secret, so equal refusals read the same.
Source: WeCom document 90313 (全局错误码).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from engine import errors
from engine.outbox import Configuration, Permanent, Transient


class WeComError(Exception):
    """A call that WeCom didn't do; `errcode` is WeCom's number, None where it didn't answer in its own terms."""

    def __init__(self, reason: str, *, errcode: int | None = None, **more: Any) -> None:
        super().__init__(reason, **more)
        self.errcode = errcode


class Later(WeComError, Transient):
    """It may work later: busy, too many calls, no connection. `delay` says when, where WeCom's limits do."""


class Refused(WeComError, Permanent):
    """It will never work as it was asked."""


class Misconfigured(WeComError, Configuration):
    """It works when an administrator has mended the settings, here or in WeCom's console."""


class CodeSpent(Refused):
    """The response_code of a card was used before, or is older than 72 h: the card can't be changed by it."""


class Duplicate(Refused):
    """What has this id (a card's task_id, a group chat's) is there already."""


class NoRecipient(Refused):
    """Nobody of those named can be sent to: unknown, or outside the application's visible scope (可见范围)."""


class EntryExpired(Refused):
    """The code of an entry (OAuth code or user_ticket) was used, is too old or isn't WeCom's."""


class Barred(Refused):
    """The secret may know that somebody is there, but not who: today's contact synchronisation reads ids only."""


class Unknown(Refused):
    """The member, department, tag, file or chat doesn't exist, or not for this application."""


_CALL = "程序发给企业微信的内容有误，请把这条记录告诉信息科"
_CARD = "卡片内容不符合企业微信的要求，请把这条记录告诉信息科"
_CREDENTIALS = "请在企业微信管理后台核对企业ID、AgentId 和 Secret，改正 PIYUE_WECOM_ 开头的设置后重启"

CODES: dict[int, tuple[type[WeComError], str]] = {
    -1: (Later, "企业微信系统繁忙"),
    40001: (Misconfigured, f"企业微信不认应用的 Secret：{_CREDENTIALS}"),
    40003: (Unknown, "企业微信里没有这个成员账号，请核对通讯录"),
    40004: (Refused, "企业微信不接受这种媒体文件类型，请换一种格式"),
    40005: (Refused, "企业微信不接受这种文件类型，请换一种格式"),
    40006: (Refused, "文件大小不符合企业微信的要求（图片、视频 10 MB，语音 2 MB，文件 20 MB 以内），请压缩后重试"),
    40007: (Unknown, "企业微信里没有这个媒体文件，可能已超过 3 天，请重新上传"),
    40008: (Refused, f"消息类型不对：{_CALL}"),
    40013: (Misconfigured, f"企业微信不认企业ID：{_CREDENTIALS}"),
    40014: (Later, "企业微信的访问令牌失效，换新后仍被拒绝"),
    40029: (EntryExpired, "登录凭证无效或已用过，请回到企业微信重新打开"),
    40035: (EntryExpired, "登录凭证无效或已过期，请回到企业微信重新打开"),
    40056: (Misconfigured, f"企业微信不认应用的 AgentId：{_CREDENTIALS}"),
    40091: (Misconfigured, f"企业微信不认应用的 Secret：{_CREDENTIALS}"),
    42001: (Later, "企业微信的访问令牌过期，换新后仍被拒绝"),
    42003: (EntryExpired, "登录凭证已过期，请回到企业微信重新打开"),
    42014: (Duplicate, "这张卡片已经发送过（task_id 重复）"),
    42015: (Refused, _CARD),
    42016: (Refused, _CARD),
    42022: (EntryExpired, "登录凭证已过期，请回到企业微信重新打开"),
    **dict.fromkeys(range(42027, 42052), (Refused, _CARD)),
    43012: (Misconfigured, "带按钮的卡片发不出去，请先在企业微信管理后台为应用设置“接收消息”的服务器地址"),
    44001: (Refused, "上传的文件是空的，请重新选择文件"),
    45001: (Refused, "文件超过企业微信的大小限制，请压缩后重试"),
    45002: (Refused, "消息内容超过企业微信的长度限制，请把这条记录告诉信息科"),
    45009: (Later, "调用企业微信接口的次数超过限制"),
    45033: (Later, "同时调用企业微信接口的请求太多"),
    48002: (Misconfigured, "应用没有调用这个接口的权限，请在企业微信管理后台为应用开通接口权限"),
    48009: (Barred, "企业微信不给应用这些通讯录详情，请改用通讯录同步 Secret，或让成员自己授权"),
    50001: (Misconfigured, "网页的域名未登记，请在企业微信管理后台把它设为应用的“网页授权及JS-SDK”可信域名"),
    50002: (NoRecipient, "成员不在应用的可见范围内，请在企业微信管理后台把他加入应用的“可见范围”"),
    60011: (Unknown, "应用无权查看这个成员、部门或标签，请在企业微信管理后台检查应用的“可见范围”"),
    60020: (Misconfigured, "服务器地址不在应用的“企业可信IP”里，请在企业微信管理后台添加"),
    60021: (NoRecipient, "成员不在应用的可见范围内，请在企业微信管理后台把他加入应用的“可见范围”"),
    60111: (Unknown, "企业微信里没有这个成员账号，请核对通讯录"),
    60123: (Unknown, "企业微信里没有这个部门，请核对通讯录"),
    60140: (CodeSpent, "卡片的更新凭证已用过或超过 72 小时，卡片不能再更新"),
    81012: (NoRecipient, "没有收件人，请把这条记录告诉信息科"),
    81013: (NoRecipient, "收件人都不在企业微信或应用的可见范围里，请在企业微信管理后台检查应用的“可见范围”"),
    82002: (Refused, f"收件部门太多：{_CALL}"),
    82003: (Refused, f"收件标签太多：{_CALL}"),
    86003: (Unknown, "企业微信里没有这个群聊"),
    86215: (Duplicate, "这个群聊已经创建过"),
    86216: (NoRecipient, "群聊里有人不在应用的可见范围内，请在企业微信管理后台检查应用的“可见范围”"),
    301002: (Misconfigured, f"这个 Secret 无权操作这个应用：{_CREDENTIALS}"),
}
"""Every errcode that is told apart, its class and the Chinese sentence with the cure; all others are Refused."""

TOKEN = frozenset({40001, 40014, 42001})
"""The access token isn't good any more: a fresh one may be."""
BUSY = -1
_DELAYS = {45009: timedelta(minutes=1), 45033: timedelta(seconds=5)}
_STATUS_LATER = frozenset({408, 425, 429})
_STATUS_SETTINGS = frozenset({401, 405})
_STATUS_PROXY = frozenset({403, 404, 407})  # a proxy that restarts, or is being configured, says them too
_FORBIDDEN = 48002
_BESIDE = ("agent/set_workbench", "appchat/")
"""Endpoints that WeCom may grant apart: without them all the rest still works, so nothing else waits for them."""


def by_code(errcode: int, endpoint: str, hint: str = "") -> WeComError:
    """Return the error for an errcode; `endpoint` is where it came from, `hint` a fact that helps to mend it."""
    kind, sentence = CODES.get(errcode, (Refused, "企业微信拒绝了这次请求，请把这条记录告诉信息科"))
    if errcode == _FORBIDDEN and endpoint.startswith(_BESIDE):
        kind = Refused
    more: dict[str, Any] = {"delay": _DELAYS.get(errcode)} if issubclass(kind, Transient) else {}
    return kind(f"{sentence}{hint}（{endpoint}，errcode {errcode}）", errcode=errcode, **more)


def by_status(status: int, endpoint: str) -> WeComError:
    """Return the error for an HTTP status other than 200: WeCom itself always says 200, so something is in between."""
    where = f"（{endpoint}，HTTP {status}）"
    if status in _STATUS_SETTINGS:
        return Misconfigured(f"企业微信接口地址答复异常，请检查 PIYUE_WECOM_API 和中间的代理{where}")
    if status in _STATUS_PROXY:
        return Later(f"中间的代理没有放行企业微信接口，请检查代理和 PIYUE_WECOM_API{where}")
    if 400 <= status < 500 and status not in _STATUS_LATER:
        return Refused(f"企业微信接口不接受这次请求，请把这条记录告诉信息科{where}")
    return Later(f"企业微信接口暂时不可用{where}")


def unreadable(endpoint: str) -> Later:
    """Return the error for an answer that isn't what the document of its endpoint promises."""
    return Later(f"企业微信接口的答复看不懂（{endpoint}）")


def unreached(endpoint: str, why: str) -> Later:
    """Return the error for a call without an answer; `why` is the name of an exception, never its text."""
    return Later(f"连不上企业微信接口，请检查网络（{endpoint}，{why}）")


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn WeCom's refusals into the engine's, where a person waits for the answer; usable as a decorator.

    Later, Misconfigured and a limit of calls that is used up become Unavailable (503), EntryExpired Unauthenticated
    (401), Unknown and NoRecipient NotFound (404), the rest Invalid (422); the code is `wecom_…`.
    """
    try:
        yield
    except EntryExpired as error:
        raise errors.Unauthenticated(str(error), code="wecom_entry_expired") from None
    except (Unknown, NoRecipient) as error:
        raise errors.NotFound(str(error), code="wecom_unknown") from None
    except Refused as error:
        raise errors.Invalid(str(error), code="wecom_refused") from None
    except (WeComError, Transient) as error:
        raise errors.Unavailable(str(error), code="wecom_unavailable") from None
