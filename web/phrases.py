"""Fixed texts: common phrases (常用语), one tap instead of typing; what incidents and rows of the outbox are called."""

from collections.abc import Mapping

from engine.bpm.models import IncidentKind
from engine.connectors.oa.sites import Sites

INCIDENTS: Mapping[str, str] = {
    IncidentKind.JOB: "系统步骤失败",
    IncidentKind.EVENT: "消息没有送达",
    IncidentKind.SETTLE: "传阅没有收尾",
    IncidentKind.NOBODY: "找不到办理人",
    IncidentKind.TIMER: "定时没有触发",
    IncidentKind.GATEWAY: "网关没有出路",
    IncidentKind.EXPRESSION: "表达式没有结果",
    IncidentKind.DECISION: "决策没有结果",
    IncidentKind.BUDGET: "步数过多",
    IncidentKind.ERROR: "错误没有人接",
}
"""The kinds of incidents (异常) as people read them."""

SYSTEMS: Mapping[str, str] = {
    "job": "系统步骤",
    "event": "消息和信号",
    "settle": "传阅收尾",
    "notice": "站内通知",
    "callback": "企业微信里的点击",
    "wecom": "企业微信",
    "joining": "验证码（短信、邮件）",
}
"""The systems of the outbox (投递) as people read them."""

LETTERS: Mapping[str, str] = {
    "notice/items": "待办和待阅通知",
    "notice/changed": "更新别处显示的待办",
    "notice/agreed": "同意通知",
    "notice/ended": "办结通知",
    "notice/person": "抄送和催办通知",
    "event/thrown": "发出消息或信号",
    "event/deliver": "送达消息或信号",
    "job/run": "系统步骤",
    "settle/round": "传阅收尾",
    "callback/event": "企业微信里的点击",
    "wecom/tell": "企业微信卡片和消息",
    "wecom/digest": "企业微信汇总消息",
    "wecom/board": "企业微信工作台数字",
    "wecom/chat": "企业微信群聊",
    "wecom/callback": "企业微信通讯录变更",
    "wecom/contacts": "企业微信通讯录夜间同步",
    "joining/sms": "验证码短信",
    "joining/mail": "验证码邮件",
}
"""What a row of the outbox does, by system and topic, as people read it."""

OA_KINDS: Mapping[str, str] = {
    "landray.soap": "蓝凌 EKP（SOAP）",
    "landray.rest": "蓝凌 EKP（REST）",
    "weaver.soap": "泛微 e-cology（SOAP）",
    "weaver.rest": "泛微 e-cology（REST）",
    "seeyon": "致远 A8",
    "template": "通用 HTTP 接口",
}
"""The kinds of legacy OAs (旧 OA) as people read them."""

OA_LETTERS: Mapping[str, str] = {
    "push": "推送待办",
    "remove": "移除多余的待办",
    "check": "对账",
    "poll": "读取 OA 自己的待办",
    "quick": "接收在 OA 里快速审批的",
}
"""What a row of an OA's channel does, by topic."""


def systems(sites: Sites) -> Mapping[str, str]:
    """Return the names of all systems, those of the OAs that are connected among them."""
    return {**SYSTEMS, **{each.site.system: each.site.name for each in sites}}


def letters(sites: Sites) -> Mapping[str, str]:
    """Return what every row of the outbox does, by system and topic."""
    of_sites = {
        f"{each.site.system}/{topic}": f"{each.site.name}：{name}"
        for each in sites
        for topic, name in OA_LETTERS.items()
    }
    return {**LETTERS, **of_sites}


_DECIDE = ("同意。", "已阅，同意。", "请按规定办理。", "请补充材料后再报。", "情况属实。")
_FILL = ("已办理。", "正在办理，按期反馈。", "已与相关科室沟通。")
_READ = ("已阅。", "已阅，请科室组织学习。", "已知悉，按要求落实。")


def phrases(kind: str) -> tuple[str, ...]:
    """Return the phrases offered for a kind of step: decide, fill or read."""
    return {"decide": _DECIDE, "fill": _FILL}.get(kind, _READ)
