"""Diagrams with one fault each, and what the linter must say of it."""

from dataclasses import dataclass

from tests.engine.bpm.lint.diagrams import (
    element,
    end,
    flow,
    line_of,
    lint,
    path,
    process,
    simple,
    start,
    user,
)


@dataclass(frozen=True)
class Case:
    """A diagram with one fault: the finding's code, its element, a part of its cure, codes that come along."""

    code: str
    content: str
    element: str | None
    cure: str
    also: frozenset[str] = frozenset()
    severity: str = "error"


def catch(id_: str, definition: str, *inner: str) -> str:
    return element("intermediateCatchEvent", id_, element(f"{definition}EventDefinition", f"{id_}-d", *inner))


def throw(id_: str, definition: str, *inner: str) -> str:
    return element("intermediateThrowEvent", id_, element(f"{definition}EventDefinition", f"{id_}-d", *inner))


def boundary(id_: str, definition: str, *inner: str, host: str = "a", **attributes: str) -> str:
    inside = element(f"{definition}EventDefinition", f"{id_}-d", *inner)
    return element("boundaryEvent", id_, inside, attachedToRef=host, **attributes)


def timer(text: str, kind: str = "timeDuration") -> str:
    return f"<bpmn:{kind}>{text}</bpmn:{kind}>\n"


def between(middle: str, *more: str, outside: str = "") -> str:
    """A process start → a → x → end, with the element x given."""
    return process(start(), user("a"), middle, end(), path("start", "a", "x", "end"), *more, outside=outside)


def with_boundary(event: str, outside: str = "") -> str:
    """A process whose step a has the boundary event x that leads to the end."""
    return simple(event, path("x", "end"), outside=outside)


def choice(*conditions: str | None, default: int | None = None, gateway: str = "exclusiveGateway") -> str:
    """A gateway x after step a with a flow to the end for each condition."""
    flows = [flow("x", f"b{n}", c, f"f{n}") for n, c in enumerate(conditions)]
    steps = [user(f"b{n}") + path(f"b{n}", "end") for n in range(len(conditions))]
    attributes = {} if default is None else {"default": f"f{default}"}
    return process(
        start(), user("a"), element(gateway, "x", **attributes), end(), path("start", "a", "x"), *steps, *flows
    )


def sub(id_: str, *inner: str, **attributes: str) -> str:
    return element("subProcess", id_, *inner, **attributes)


def nested(levels: int) -> str:
    """Sub-processes x1 … within each other."""
    inside = user("deep")
    around = ("deep",)
    for level in range(levels, 0, -1):
        flows = path(f"s{level}", *around, f"e{level}")
        inside = sub(f"x{level}", start(f"s{level}"), inside, end(f"e{level}"), flows)
        around = (f"x{level}",)
    return process(start(), inside, end(), path("start", *around, "end"))


MESSAGE = '<bpmn:message id="message" name="到货"/>\n'
SIGNAL = '<bpmn:signal id="signal" name="停诊"/>\n'
MULTI = "<bpmn:multiInstanceLoopCharacteristics>{}</bpmn:multiInstanceLoopCharacteristics>\n"
CARDINALITY = "<bpmn:loopCardinality>3</bpmn:loopCardinality>"


def inner_process(id_: str = "x", loop: str = "") -> str:
    return sub(
        id_, loop, start(f"{id_}-s"), user(f"{id_}-u"), end(f"{id_}-e"), path(f"{id_}-s", f"{id_}-u", f"{id_}-e")
    )


def forked(join: str, split: str = "parallelGateway", *more: str) -> str:
    """A split s, steps b and c, a join x."""
    conditions = ("days > 1", "days <= 1") if split == "exclusiveGateway" else (None, None)
    return process(
        start(),
        user("a"),
        element(split, "s"),
        user("b"),
        user("c"),
        element(join, "x"),
        end(),
        path("start", "a", "s"),
        flow("s", "b", conditions[0]),
        flow("s", "c", conditions[1]),
        path("b", "x", "end"),
        path("c", "x"),
        *more,
    )


def check_case(case: Case) -> None:
    """Hold one fault to what is expected of its finding."""
    findings = lint(case.content)
    assert {f.code for f in findings} == {case.code} | case.also, [str(f) for f in findings]
    finding = next(f for f in findings if f.code == case.code)
    assert finding.element == case.element
    assert finding.severity == case.severity
    assert case.cure in finding.cure
    assert finding.file == "process.bpmn"
    assert finding.message
    assert not finding.message.endswith("。")
    if case.element and not case.element.endswith("…"):
        assert finding.line is not None
        first = line_of(case.content, f'id="{case.element}"')
        assert first <= finding.line
        assert finding.line - first <= 4 or case.code in ("id_twice", "id_missing")
