"""Activities (操作记录) in words: what each kind is called, and one sentence for what it holds."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.bpm.queries import Activity
from web.phrases import LETTERS, OA_LETTERS, SYSTEMS

Detail = Mapping[str, Any]

_PROOFS = {
    "staff_number": "与工号相同",
    "account": "已有对应",
    "mobile": "企业微信的手机号与登记的相同",
    "sms": "短信验证码",
    "mail": "邮件验证码",
}
_SOURCES = {"device": "在本人用过的浏览器里", "anywhere": "从许多地址", "change": "修改密码时"}


def told(row: Activity) -> str:
    """Return the sentence for an activity; what it lacks is left out."""
    _, words = _KINDS.get(row.verb, ("", _nothing))
    return words(row.detail) + ("（经服务令牌）" if "token" in row.detail else "")


def _nothing(_: Detail) -> str:
    return ""


def _who(detail: Detail) -> str:
    return f"{detail.get('name', '')}（{detail.get('number', '')}）"


def _login(detail: Detail) -> str:
    parts = [f"从 {detail['address']}" if detail.get("address") else ""]
    parts.append("演示，不用密码" if detail.get("demo") else "")
    parts.append(f"企业微信账号 {detail['wecom']}" if detail.get("wecom") else "")
    parts.append("从 OA 进入" if detail.get("oa") else "")
    parts.append(f"之前输错 {detail['failures']} 次" if detail.get("failures") else "")
    return "，".join(filter(None, parts))


def _locked(detail: Detail) -> str:
    place = _SOURCES.get(detail.get("source", ""), "") or f"从 {detail.get('address') or '未知地址'} "
    return f"{_who(detail)}的密码{place}连续输错 {detail.get('failures', '')} 次"


def _member(detail: Detail) -> str:
    by = _PROOFS.get(detail.get("by", ""), "")
    return f"{_who(detail)}：{detail.get('userid', '')}{f'，{by}' if by else ''}"


def _oa_entry(detail: Detail) -> str:
    return f"{detail.get('oa', '')}，账号 {detail.get('account', '')}"


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


def _system(system: str) -> str:
    return SYSTEMS.get(system) or (f"旧 OA（{system.removeprefix('oa.')}）" if system.startswith("oa.") else system)


def _letter(detail: Detail) -> str:
    system, topic = detail.get("system", ""), detail.get("topic", "")
    kind = LETTERS.get(f"{system}/{topic}") or f"{_system(system)} {OA_LETTERS.get(topic, topic)}"
    return f"{kind}第 {detail.get('outbox', '')} 条：{detail.get('reason', '')}"


def _channel(detail: Detail) -> str:
    return f"{_system(detail.get('system', ''))}：{detail.get('reason', '')}"


def _contacts(detail: Detail) -> str:
    names = {
        "created": "新增",
        "updated": "变更",
        "disabled": "停用",
        "enabled": "恢复",
        "linked": "关联",
        "vanished": "离开",
    }
    return "、".join(f"{name} {detail[key]}" for key, name in names.items() if detail.get(key)) or "没有变化"


def _too_many(detail: Detail) -> str:
    return f"{detail.get('vanished')} 人离开企业微信，超过 {detail.get('allowed')} 人，没有同步"


def _mapped(detail: Detail) -> str:
    return f"企业微信部门 {detail.get('wecom')} 对应{detail.get('name')}（{detail.get('code')}）"


def _oa_account(detail: Detail) -> str:
    before = f"，原为 {detail['before']}" if detail.get("before") else ""
    return f"{detail.get('site_name', '')}：{_who(detail)} 对应 {detail.get('account') or '（解除）'}{before}"


def _oa_accounts(detail: Detail) -> str:
    names = {"set": "写入", "removed": "删去", "unchanged": "不变"}
    return f"{detail.get('site_name', '')}：" + "、".join(f"{name} {detail.get(key, 0)}" for key, name in names.items())


def _oa_load(detail: Detail) -> str:
    done = {"start": "开始", "pause": "暂停", "resume": "继续"}.get(detail.get("did", ""), "")
    return f"{detail.get('site_name', '')}：{done}" + (f"，共 {detail['total']} 条" if "total" in detail else "")


def _oa_check(detail: Detail) -> str:
    return f"{detail.get('site_name', '')}{'，并修复' if detail.get('repair') else ''}"


def _number(detail: Detail) -> str:
    return f"{detail.get('text', '')}：{detail.get('reason', '')}"


def _oa_test(detail: Detail) -> str:
    return f"{detail.get('site_name', '')}：{detail.get('text', '')}"


_KINDS: Mapping[str, tuple[str, Callable[[Detail], str]]] = {
    "login": ("登录", _login),
    "logout": ("退出", _nothing),
    "login_locked": ("密码连错锁定", _locked),
    "password": ("设置密码", _who),
    "role_grant": ("分配角色", _role),
    "role_revoke": ("收回角色", _role),
    "account_create": ("新建系统账号", _who),
    "token_issue": ("签发服务令牌", _token),
    "token_revoke": ("撤销服务令牌", _token),
    "staff_import": ("导入人员", _import),
    "deploy": ("部署流程", _process),
    "suspend": ("停用流程", _process),
    "resume": ("启用流程", _process),
    "requeue": ("重新投递", _letter),
    "channel_pause": ("暂停通道", _channel),
    "channel_resume": ("恢复通道", _channel),
    "contacts_sync": ("同步通讯录", _contacts),
    "contacts_refused": ("通讯录未同步", _too_many),
    "contacts_map": ("部门对应", _mapped),
    "oa_account": ("旧 OA 账号", _oa_account),
    "oa_accounts": ("导入旧 OA 账号", _oa_accounts),
    "oa_load": ("旧 OA 首次装载", _oa_load),
    "oa_check": ("旧 OA 对账", _oa_check),
    "oa_test": ("测试旧 OA 连接", _oa_test),
    "number_void": ("作废文号", _number),
    "oa_enter": ("从 OA 进入", _oa_entry),
    "wecom_join": ("首次从企业微信进入", _member),
    "wecom_link": ("绑定企业微信账号", _member),
    "wecom_unlink": ("解除企业微信账号", _member),
    "wecom_locked": ("验证码连错作废", _member),
}
NAMES: Mapping[str, str] = {verb: name for verb, (name, _) in _KINDS.items()}
"""What each kind of activity is called."""
