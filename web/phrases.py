"""Fixed texts: common phrases (常用语), one tap instead of typing; what incidents and rows of the outbox are called."""

from collections.abc import Mapping

from engine.bpm.models import IncidentKind

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
    "wecom": "企业微信",
    "joining": "验证码",
}
"""The systems of the outbox (投递) as people read them."""

LETTERS: Mapping[str, str] = {
    "notice/items": "待办和待阅通知",
    "notice/agreed": "同意通知",
    "notice/changed": "变动通知",
    "notice/ended": "办结通知",
    "notice/person": "抄送和催办通知",
    "event/thrown": "发出消息或信号",
    "event/deliver": "送达消息或信号",
    "job/run": "系统步骤",
    "settle/round": "传阅收尾",
    "wecom/tell": "企业微信卡片和消息",
    "wecom/digest": "企业微信合并消息",
    "wecom/board": "企业微信工作台数字",
    "wecom/chat": "企业微信群聊",
    "wecom/callback": "企业微信回调",
    "joining/sms": "短信验证码",
    "joining/mail": "邮件验证码",
}
"""What a row of the outbox does, by system and topic, as people read it."""

_DECIDE = ("同意。", "已阅，同意。", "请按规定办理。", "请补充材料后再报。", "情况属实。")
_FILL = ("已办理。", "正在办理，按期反馈。", "已与相关科室沟通。")
_READ = ("已阅。", "已阅，请科室组织学习。", "已知悉，按要求落实。")


def phrases(kind: str) -> tuple[str, ...]:
    """Return the phrases offered for a kind of step: decide, fill or read."""
    return {"decide": _DECIDE, "fill": _FILL}.get(kind, _READ)
