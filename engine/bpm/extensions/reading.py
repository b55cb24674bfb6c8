"""Reading the extension elements of a diagram, strictly: what is unknown or wrong becomes a problem with its cure."""

import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from engine.bpm.extensions.model import (
    DECIDE_OUTCOMES,
    FILL_OUTCOMES,
    READ_OUTCOMES,
    Access,
    Assign,
    DataMapping,
    EventExtension,
    FieldRights,
    Operation,
    Outcome,
    Problem,
    ProcessExtension,
    ReturnRule,
    RoundPolicy,
    RuleUse,
    TaskExtension,
)

NAMESPACE = "urn:piyue:bpmn"
BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
_PREFIX = f"{{{NAMESPACE}}}"

RULES = frozenset(
    "person role post department head initiator initiator_head initiator_heads initiator_director director previous "
    "previous_head field field_head expression".split()
)
POLICIES = frozenset("any all in_turn share at_least expression none".split())
_NEEDS = {
    "person": "persons",
    "role": "role",
    "post": "post",
    "department": "department",
    "head": "department",
    "director": "department",
    "field": "field",
    "field_head": "field",
    "expression": "value",
}
_DEFAULT_OUTCOMES = {"decide": DECIDE_OUTCOMES, "fill": FILL_OUTCOMES, "read": READ_OUTCOMES}


class _Reader:
    """Reads attributes strictly; what is unknown or wrong becomes a problem."""

    def __init__(self, element: Any) -> None:
        self.element = element
        self.problems: list[Problem] = []

    def children(self) -> list[Any]:
        box = self.element.find(f"{{{BPMN}}}extensionElements")
        return [] if box is None else [c for c in box if isinstance(c.tag, str) and c.tag.startswith(_PREFIX)]

    def problem(self, node: Any, code: str, message: str, cure: str) -> None:
        self.problems.append(Problem(node.sourceline or 0, code, message, cure))

    def attributes(self, node: Any, allowed: Iterable[str], required: Iterable[str] = ()) -> dict[str, str]:
        allowed, tag = set(allowed), _local(node)
        for name in node.attrib:
            if name not in allowed:
                self.problem(
                    node,
                    "extension_attribute",
                    f"piyue:{tag} 不认识属性“{name}”",
                    f"可用的属性：{'、'.join(sorted(allowed))}",
                )
        for name in required:
            if not node.get(name):
                self.problem(node, "extension_attribute_missing", f"piyue:{tag} 缺少属性“{name}”", f'请补上 {name}="…"')
        return {k: v for k, v in node.attrib.items() if k in allowed}

    def choice(self, node: Any, name: str, allowed: Iterable[str], default: str) -> str:
        value, allowed = node.get(name, default), tuple(allowed)
        if value not in allowed:
            self.problem(
                node,
                "extension_value",
                f"piyue:{_local(node)} 的 {name}=“{value}” 不可用",
                f"可用的值：{'、'.join(allowed)}",
            )
            return default
        return str(value)

    def access(self, node: Any, name: str) -> Access:
        return cast(Access, self.choice(node, name, ("edit", "read", "hidden"), "read"))

    def integer(self, node: Any, name: str, default: int, low: int, high: int) -> int:
        text = node.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,6}", text) or not low <= int(text) <= high:
            self.problem(
                node,
                "extension_value",
                f"piyue:{_local(node)} 的 {name}=“{text}” 不是 {low} 到 {high} 的整数",
                "请改为整数",
            )
            return default
        return int(text)

    def unknown(self, node: Any, allowed: Iterable[str]) -> None:
        self.problem(
            node,
            "extension_element",
            f"这里不认识 piyue:{_local(node)}",
            f"此处可用：{'、'.join('piyue:' + a for a in sorted(allowed))}",
        )


def _local(node: Any) -> str:
    return str(node.tag).removeprefix(_PREFIX)


def _assign(reader: _Reader, node: Any) -> Assign:
    reader.attributes(
        node, ("rule", "persons", "role", "of", "post", "department", "level", "field", "value"), ("rule",)
    )
    rule = reader.choice(node, "rule", sorted(RULES), "initiator")
    needed = _NEEDS.get(rule)
    if needed and not node.get(needed):
        reader.problem(node, "assign_incomplete", f"办理人规则 {rule} 缺少“{needed}”", f'请补上 {needed}="…"')
    return Assign(
        rule=rule,
        persons=tuple((node.get("persons") or "").split()),
        role=node.get("role"),
        of=node.get("of"),
        post=node.get("post"),
        department=node.get("department"),
        level=reader.integer(node, "level", 1, 1, 9),
        field=node.get("field"),
        value=node.get("value"),
    )


def _round(reader: _Reader, node: Any) -> RoundPolicy:
    reader.attributes(node, ("policy", "value", "veto"), ("policy",))
    policy = reader.choice(node, "policy", sorted(POLICIES), "any")
    if policy == "expression":
        text = node.get("value", "")
        if not text.startswith("="):
            reader.problem(
                node,
                "round_incomplete",
                "办理方式 expression 的 value 不是表达式",
                'value 以 = 开头，如 value="=agreed >= 2"',
            )
        return RoundPolicy(policy, veto=_flag(reader, node, "veto"), rule=text.removeprefix("="))
    high = 100 if policy == "share" else 9999
    if policy in ("share", "at_least") and node.get("value") is None:
        reader.problem(node, "round_incomplete", f"办理方式 {policy} 缺少 value", "share 写百分数，at_least 写人数")
    return RoundPolicy(policy, reader.integer(node, "value", 0, 1, high), _flag(reader, node, "veto"))


def _flag(reader: _Reader, node: Any, name: str) -> bool:
    return reader.choice(node, name, ("true", "false"), "false") == "true"


def _outcome(reader: _Reader, node: Any) -> Outcome:
    reader.attributes(node, ("id", "name", "opinion", "style", "form"), ("id", "name"))
    outcome = node.get("id", "")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", outcome):
        reader.problem(
            node,
            "outcome_id",
            f"办理结果的 id“{outcome}”不可用",
            "用小写字母开头，后接小写字母、数字、下划线，最多 40 个字符",
        )
    return Outcome(
        outcome,
        node.get("name", outcome),
        reader.choice(node, "opinion", ("none", "optional", "required"), "optional"),
        reader.choice(node, "style", ("primary", "default", "warn"), "default"),
        reader.choice(node, "form", ("required", "ignored"), "required"),
    )


def _pairs(reader: _Reader, parent: Any, tag: str, required: str = "value") -> tuple[tuple[str, str], ...]:
    found = []
    for node in parent:
        if isinstance(node.tag, str) and node.tag == _PREFIX + tag:
            reader.attributes(node, ("name", "value"), ("name", required))
            found.append((node.get("name", ""), node.get("value", "")))
    return tuple(found)


def parse_task(element: Any) -> tuple[TaskExtension, list[Problem]]:
    """Read a `bpmn:userTask`'s extension; the second value lists what is wrong with it."""
    reader = _Reader(element)
    found: dict[str, Any] = {}
    assign: list[Assign] = []
    outcomes: list[Outcome] = []
    fields: list[tuple[str, Access]] = []
    default: Access | None = None
    known = "task assign round outcome return nobody same merge field fields opinion".split()
    for node in reader.children():
        match _local(node):
            case "task":
                reader.attributes(node, ("kind", "form", "start"))
                found["kind"] = reader.choice(node, "kind", ("decide", "fill", "read"), "decide")
                found["form"] = node.get("form")
                found["start"] = _flag(reader, node, "start")
            case "assign":
                assign.append(_assign(reader, node))
            case "round":
                found["round"] = _round(reader, node)
            case "outcome":
                outcomes.append(_outcome(reader, node))
            case "return":
                reader.attributes(node, ("to", "mode"))
                targets = tuple(t for t in node.get("to", "").split() if t != "none")
                found["returns"] = ReturnRule(
                    targets if node.get("to") else None,
                    reader.choice(node, "mode", ("rewalk", "jump", "choose"), "choose"),
                )
            case "nobody":
                reader.attributes(node, ("do", "persons"), ("do",))
                found["nobody"] = reader.choice(node, "do", ("admin", "pass", "refuse", "persons"), "admin")
                found["nobody_persons"] = tuple((node.get("persons") or "").split())
            case "same":
                reader.attributes(node, ("handler",), ("handler",))
                found["same"] = reader.choice(node, "handler", ("handle", "skip", "head"), "handle")
            case "merge":
                reader.attributes(node, ("when",), ("when",))
                found["merge"] = reader.choice(node, "when", ("never", "anywhere", "previous"), "never")
            case "field":
                reader.attributes(node, ("key", "access"), ("key", "access"))
                fields.append((node.get("key", ""), reader.access(node, "access")))
            case "fields":
                reader.attributes(node, ("default",), ("default",))
                default = reader.access(node, "default")
            case "opinion":
                reader.attributes(node, ("box",), ("box",))
                found["opinion_box"] = node.get("box")
            case _:
                reader.unknown(node, known)
    kind = found.get("kind", "decide")
    if default is None:
        default = "edit" if found.get("start") else "read"
    found.setdefault("round", RoundPolicy("all" if kind == "read" else "any"))
    if found["round"].policy == "none" and kind != "read":
        reader.problem(
            element,
            "round_none",
            "只有传阅步骤可以“不等待”（policy=none）",
            "改用 any 或 all，或把步骤改为传阅 kind=read",
        )
    if found["round"].policy == "expression" and kind == "read":
        reader.problem(element, "round_expression", "传阅步骤不能用 policy=expression", "改用 share 或 at_least")
    if len({o.id for o in outcomes}) != len(outcomes):
        reader.problem(element, "outcome_twice", "办理结果的 id 重复", "每个结果用不同的 id")
    return (
        TaskExtension(
            **found,
            assign=tuple(assign),
            outcomes=tuple(outcomes) or _DEFAULT_OUTCOMES[kind],
            rights=FieldRights(default, tuple(fields)),
        ),
        reader.problems,
    )


def parse_operation(element: Any) -> tuple[Operation | None, list[Problem]]:
    """Read the operation of a service or script task; None where there is none."""
    reader = _Reader(element)
    operation = None
    for node in reader.children():
        if _local(node) != "operation":
            reader.unknown(node, ("operation",))
            continue
        reader.attributes(node, ("name", "retries"), ("name",))
        operation = Operation(
            node.get("name", ""),
            reader.integer(node, "retries", 3, 0, 20),
            _pairs(reader, node, "input"),
            _pairs(reader, node, "output"),
        )
    return operation, reader.problems


def parse_rule(element: Any) -> tuple[RuleUse | None, list[Problem]]:
    """Read which decision a business rule task names; None where there is none, or not all of it."""
    reader = _Reader(element)
    found = []
    for node in reader.children():
        if _local(node) != "decision":
            reader.unknown(node, ("decision",))
            continue
        needed = ("file", "name", "result")
        reader.attributes(node, needed, needed)
        file, decision, result = (node.get(name, "") for name in needed)
        found.append(RuleUse(file, decision, result, _pairs(reader, node, "input")))
        for inner in node:
            if inner.tag != _PREFIX + "input":
                reader.problem(node, "extension_element", "piyue:decision 里只能有 piyue:input", "删去其他元素")
    if len(found) > 1:
        reader.problem(element, "extension_element", "业务规则任务写了几个 piyue:decision", "只留一个")
    whole = bool(found) and all((found[0].file, found[0].decision, found[0].result))
    return found[0] if whole else None, reader.problems


def parse_mapping(element: Any) -> tuple[DataMapping, list[Problem]]:
    """Read the inputs and outputs of a call activity."""
    reader = _Reader(element)
    for node in reader.children():
        if _local(node) not in ("input", "output"):
            reader.unknown(node, ("input", "output"))
    box = element.find(f"{{{BPMN}}}extensionElements")
    box = [] if box is None else box
    return DataMapping(_pairs(reader, box, "input"), _pairs(reader, box, "output")), reader.problems


def parse_event(element: Any) -> tuple[EventExtension, list[Problem]]:
    """Read a message or signal event's correlation and what it carries or expects."""
    reader = _Reader(element)
    correlation = ""
    expected: list[str] = []
    throws = str(element.tag).rpartition("}")[2] in ("sendTask", "intermediateThrowEvent", "endEvent")
    for node in reader.children():
        if _local(node) == "message":
            reader.attributes(node, ("correlation",), ("correlation",))
            correlation = node.get("correlation", "")
        elif _local(node) == "input" and not throws:
            reader.attributes(node, ("name",), ("name",))
            expected.append(node.get("name", ""))
        elif _local(node) != "output" or not throws:
            reader.unknown(node, ("message", "output" if throws else "input"))
    box = element.find(f"{{{BPMN}}}extensionElements") if throws else None
    outputs = _pairs(reader, [] if box is None else box, "output")
    return EventExtension(correlation, outputs, tuple(expected)), reader.problems


def parse_process(element: Any) -> tuple[ProcessExtension, list[Problem]]:
    """Read a `bpmn:process`'s extension."""
    reader = _Reader(element)
    found: dict[str, Any] = {}
    searchable: list[tuple[str, str]] = []
    readers: list[Assign] = []
    for node in reader.children():
        match _local(node):
            case "process":
                found = dict(reader.attributes(node, ("title", "summary", "category", "urgency", "starters")))
                found["starters"] = tuple(found.get("starters", "everyone").split()) or ("everyone",)
                for starter in found["starters"]:
                    if not re.fullmatch(r"everyone|role:\w+|department:\S+", starter):
                        reader.problem(
                            node,
                            "starters",
                            f"发起人范围“{starter}”不可用",
                            "写 everyone、role:角色代码 或 department:科室代码",
                        )
            case "searchable":
                reader.attributes(node, ("field", "type"), ("field", "type"))
                searchable.append(
                    (node.get("field", ""), reader.choice(node, "type", ("number", "text", "date"), "text"))
                )
            case "readers":
                readers.append(_assign(reader, node))
            case _:
                reader.unknown(node, ("process", "searchable", "readers"))
    return ProcessExtension(**found, searchable=tuple(searchable), readers=tuple(readers)), reader.problems


PARSERS: dict[str, Callable[[Any], tuple[Any, list[Problem]]]] = {
    "process": parse_process,
    "userTask": parse_task,
    "serviceTask": parse_operation,
    "scriptTask": parse_operation,
    "businessRuleTask": parse_rule,
    "callActivity": parse_mapping,
    "receiveTask": parse_event,
    "sendTask": parse_event,
    "intermediateCatchEvent": parse_event,
    "intermediateThrowEvent": parse_event,
    "boundaryEvent": parse_event,
    "endEvent": parse_event,
}
