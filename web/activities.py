"""Activities (操作记录) in words: what each kind is called, and one sentence for what it holds."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.bpm.queries import Activity

Detail = Mapping[str, Any]

NAMES: Mapping[str, str] = {
    "login": "登录",
    "logout": "退出",
    "login_locked": "密码连错锁定",
    "password": "设置密码",
    "role_grant": "给角色",
    "role_revoke": "收回角色",
    "account_create": "建系统账号",
    "token_issue": "发服务令牌",
    "token_revoke": "撤销服务令牌",
    "staff_import": "导入人员",
    "deploy": "部署流程",
    "suspend": "停用流程",
    "resume": "启用流程",
}
_SOURCES = {"device": "在本人用过的浏览器里", "anywhere": "从许多地址", "change": "修改密码时"}


def told(row: Activity) -> str:
    """Return the sentence for an activity; what it lacks is left out."""
    words = _WORDS.get(row.verb)
    by_token = "（经服务令牌）" if "token" in row.detail else ""
    return ("" if words is None else words(row.detail)) + by_token


def _who(detail: Detail) -> str:
    return f"{detail.get('name', '')}（{detail.get('number', '')}）"


def _login(detail: Detail) -> str:
    parts = [f"从 {detail['address']}" if detail.get("address") else ""]
    parts.append("演示，不用密码" if detail.get("demo") else "")
    parts.append(f"之前输错 {detail['failures']} 次" if detail.get("failures") else "")
    return "，".join(filter(None, parts))


def _locked(detail: Detail) -> str:
    place = _SOURCES.get(detail.get("source", ""), "") or f"从 {detail.get('address') or '未知地址'}"
    return f"{_who(detail)}的密码{place}连续输错 {detail.get('failures', '')} 次"


def _role(detail: Detail) -> str:
    only = f"，限{detail['department']}" if detail.get("department") else ""
    return f"{_who(detail)}：{detail.get('role_name', '')}{only}"


def _token(detail: Detail) -> str:
    scopes = "、".join(detail.get("scopes", ()))
    account = f"，代表{detail.get('account')}（{detail.get('number')}）" if detail.get("account") else ""
    return f"“{detail.get('name', '')}”{account}{f'，可用于 {scopes}' if scopes else ''}"


def _import(detail: Detail) -> str:
    names = {"created": "新增", "updated": "更新", "unchanged": "不变", "disabled": "停用"}
    return "、".join(f"{name} {detail.get(key, 0)}" for key, name in names.items())


def _process(detail: Detail) -> str:
    number = f"第 {detail['number']} 版" if "number" in detail else ""
    note = f"：{detail['note']}" if detail.get("note") else ""
    return f"{detail.get('name', '')}（{detail.get('key', '')}）{number}{note}"


_WORDS: Mapping[str, Callable[[Detail], str]] = {
    "login": _login,
    "login_locked": _locked,
    "password": _who,
    "role_grant": _role,
    "role_revoke": _role,
    "account_create": _who,
    "token_issue": _token,
    "token_revoke": _token,
    "staff_import": _import,
    "deploy": _process,
    "suspend": _process,
    "resume": _process,
}
