"""Runs the cases of the DMN technology compatibility kit: `python -m tests.conformance.tck [FOLDER]`.

Prints every case that fails with what was expected and what came, and at last `passed/total`.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from lxml import etree

from engine import xml
from engine.bpm import decisions
from engine.errors import EngineError
from engine.feel import from_xsd

KIT = Path(__file__).parents[3] / "shared" / "dmn-tck"
"""Where the kit lies beside the project; its cases are not part of it."""
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


@dataclass(frozen=True, slots=True)
class Case:
    """One expectation of one test case."""

    id: str
    model: Path
    kind: str
    invocable: str
    inputs: dict[str, Any]
    result: str
    expected: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that came out otherwise."""

    case: Case
    came: Any
    messages: tuple[str, ...]


def cases(kit: Path) -> Iterator[Case]:
    """Yield every expectation of every test file under a folder."""
    for file in sorted(kit.rglob("*-test-*.xml")):
        root = xml.parse(file.read_bytes(), file.name)
        model = file.parent / (_texts(root, "modelName") or [""])[0]
        for number, test in enumerate(_all(root, "testCase")):
            inputs = {_key(node): _value(node) for node in _all(test, "inputNode")}
            for node in _all(test, "resultNode"):
                expected = next(_all(node, "expected"), None)
                yield Case(
                    id=f"{file.parent.name}/{test.get('id', number)}/{node.get('name')}",
                    model=model,
                    kind=test.get("type", "decision"),
                    invocable=test.get("invocableName") or "",
                    inputs=inputs,
                    result=node.get("name") or "",
                    expected=None if expected is None else _value(expected),
                )


def _all(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in element if etree.QName(child).localname == name)


def _texts(element: etree._Element, name: str) -> list[str]:
    return [(child.text or "").strip() for child in _all(element, name)]


def _key(node: etree._Element) -> str:
    name, namespace = node.get("name") or "", node.get("namespace")
    return f"{{{namespace}}}{name}" if namespace else name


def _value(element: etree._Element) -> Any:
    """Return the value that an input, an expectation, a component or an item of a list holds."""
    if element.get(_NIL) == "true":
        return None
    entries = list(_all(element, "component"))
    if entries:
        return {entry.get("name"): _value(entry) for entry in entries}
    for items in _all(element, "list"):
        return None if items.get(_NIL) == "true" else [_value(item) for item in _all(items, "item")]
    for value in _all(element, "value"):
        if value.get(_NIL) == "true":
            return None
        return from_xsd(value.get(_TYPE) or "string", value.text or "")
    return None


def run(case: Case, loaded: dict[Path, decisions.Decisions]) -> Failure | None:
    """Return what a case came to where that isn't what it expects."""
    try:
        if case.model not in loaded:
            loaded[case.model] = decisions.load(case.model)
        model = loaded[case.model]
        if case.kind == "bkm":
            came = model.invoke(case.invocable or case.result, case.inputs)
        elif case.kind == "decisionService":
            came = model.service(case.invocable or case.result, case.inputs)
        else:
            came = model.evaluate(case.result, case.inputs)
    except EngineError as refused:
        return Failure(case, f"{type(refused).__name__}: {refused}", ())
    if same(came, case.expected):
        return None
    if case.kind == "decisionService" and isinstance(came, dict) and same(came.get(case.result), case.expected):
        return None  # of several output decisions the kit asks for one
    return Failure(case, came, model.messages)


def same(came: Any, expected: Any) -> bool:
    """Tell whether a value is the expected one: numbers to eight decimals, as the kit's own runner has it."""
    if isinstance(came, Decimal) and isinstance(expected, Decimal):
        return abs(came - expected) < Decimal("1e-8")
    if type(came) is not type(expected):
        return False
    if isinstance(came, dict):
        return came.keys() == expected.keys() and all(same(came[key], expected[key]) for key in came)
    if isinstance(came, list):
        return len(came) == len(expected) and all(map(same, came, expected))
    if isinstance(came, time):
        return bool(came == expected)
    return bool(came == expected)


def main() -> None:
    """Run all cases."""
    kit = Path(sys.argv[1]) if len(sys.argv) > 1 else KIT
    total, failures = 0, []
    loaded: dict[Path, decisions.Decisions] = {}
    for case in cases(kit):
        total += 1
        if failure := run(case, loaded):
            failures.append(failure)
            sys.stdout.write(
                f"{case.id}: {case.expected!r} expected, {failure.came!r} came {'; '.join(failure.messages)[:160]}\n"
            )
    sys.stdout.write(f"{total - len(failures)}/{total}\n")


if __name__ == "__main__":
    main()
