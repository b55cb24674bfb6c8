"""What is wrong with a setting, in Chinese, for the operator who wrote it: pydantic's findings in our words."""

import re
from collections.abc import Mapping
from typing import Any

TOLD = "told"
"""The type of a mistake (PydanticCustomError) whose message is a Chinese sentence for the operator already."""
_FIXED = {
    "missing": "没有写",
    "extra_forbidden": "没有这一项",
    "string_type": "应是文字，要加引号",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "model_type": "应是一张表，写成 [名字] 和它下面的各项",
    "dict_type": "应是一张表，写成 [名字] 和它下面的各项",
    "list_type": "应是几个值，写在 [ ] 里",
    "tuple_type": "应是几个值，写在 [ ] 里",
    "string_pattern_mismatch": "有不允许的字符，或写法不对",
}
_BOUNDS = {
    "greater_than_equal": ("至少是 {}", "ge"),
    "greater_than": ("要大于 {}", "gt"),
    "less_than_equal": ("最多是 {}", "le"),
    "less_than": ("要小于 {}", "lt"),
    "string_too_short": ("至少 {} 个字", "min_length"),
    "string_too_long": ("最多 {} 个字", "max_length"),
    "too_short": ("至少 {} 个", "min_length"),
    "too_long": ("最多 {} 个", "max_length"),
}


def expected(problem: Mapping[str, Any]) -> str:
    """Say what a setting should be, by an entry of `ValidationError.errors()`; never what it is: it may be a secret."""
    kind, context = problem["type"], problem.get("ctx", {})
    pattern = str(context.get("pattern", ""))
    if kind in _BOUNDS:
        text, name = _BOUNDS[kind]
        return text.format(context[name])
    if kind == "literal_error":
        return "只能是 " + re.sub(", | or ", "、", str(context["expected"]).replace("'", ""))
    if kind == "value_error":  # of our validators
        return str(context["error"])
    if kind == TOLD:
        return str(problem["msg"])
    if pattern.startswith("^http"):
        return "应是 http:// 或 https:// 开头的网址"
    if "postgresql" in pattern:
        return "应以 postgresql: 或 sqlite: 开头"
    return _FIXED.get(kind, f"不可用（{problem['msg']}）")
