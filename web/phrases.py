"""Common phrases (常用语): one tap instead of typing."""

_DECIDE = ("同意。", "已阅，同意。", "请按规定办理。", "请补充材料后再报。", "情况属实。")
_FILL = ("已办理。", "正在办理，按期反馈。", "已与相关科室沟通。")
_READ = ("已阅。", "已阅，请科室组织学习。", "已知悉，按要求落实。")


def phrases(kind: str) -> tuple[str, ...]:
    """Return the phrases offered for a kind of step: decide, fill or read."""
    return {"decide": _DECIDE, "fill": _FILL}.get(kind, _READ)
