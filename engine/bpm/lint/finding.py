"""What the linter says: findings with place, element, one sentence and the cure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

from lxml import etree

Severity = Literal["error", "warning"]
MAX_FINDINGS = 300
"""Findings kept of one check; a hostile file would have one per element."""
_PARTS = (
    "EventDefinition",
    "LoopCharacteristics",
    "Expression",
    "}documentation",
    "}script",
    "}timeDate",
    "}timeDuration",
    "}timeCycle",
)
MAX_EXPRESSIONS = 30_000
"""Characters of all expressions of one check: compiling them takes time."""
_LABELS = {"error": "错误", "warning": "警告"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong (检查结果) in a process folder: where, what, and what to do.

    `line` counts from 1 and is None where the file as a whole is meant; `element` and `name` are those of the BPMN
    element; `message` and `cure` are one Chinese sentence each, without a full stop.
    """

    file: str
    line: int | None
    element: str | None
    name: str | None
    severity: Severity
    code: str
    message: str
    cure: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        element = f" 元素 {self.element}" if self.element else ""
        name = f"「{self.name}」" if self.name else ""
        return f"{place}{element}{name}: {_LABELS[self.severity]} {self.code}: {self.message}。办法: {self.cure}。"

    def as_dict(self) -> dict[str, str | int | None]:
        """Return the finding as plain values, for JSON."""
        return asdict(self)


@dataclass(slots=True)
class Report:
    """Collects the findings of one check."""

    findings: dict[Finding, None] = field(default_factory=dict)  # a set in order
    left_out: int = 0
    expressions: int = 0

    def add(self, finding: Finding) -> None:
        """Keep a finding, as long as there are not too many."""
        if finding in self.findings:
            return
        if not self.full:
            self.findings[finding] = None
        else:
            self.left_out += 1

    def expression(self, length: int) -> bool:
        """Account for an expression of `length` characters; tell whether it may still be compiled."""
        self.expressions += length
        return self.expressions <= MAX_EXPRESSIONS

    @property
    def full(self) -> bool:
        """Whether what is found from now on is only counted."""
        return len(self.findings) >= MAX_FINDINGS

    @property
    def has_errors(self) -> bool:
        """Whether something refuses the files."""
        return any(finding.severity == "error" for finding in self.findings)

    def sorted(self) -> list[Finding]:
        """Return the findings by place, errors before warnings, and a last one about those left out."""
        found = sorted(self.findings, key=lambda f: (f.file, f.line or 0, f.severity, f.code, f.message))
        if self.left_out:
            more = f"问题太多，另有 {self.left_out} 个未列出"
            found.append(Finding(found[-1].file, None, None, None, "error", "more", more, "先改正列出的问题再检查"))
        return found


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports on the elements of one file."""

    file: str
    report: Report

    def error(self, element: etree._Element | None, code: str, message: str, cure: str) -> None:
        """Report what refuses the file."""
        self._add("error", element, code, message, cure)

    def warning(self, element: etree._Element | None, code: str, message: str, cure: str) -> None:
        """Report what is allowed and probably not meant."""
        self._add("warning", element, code, message, cure)

    def problems(self, element: etree._Element, found: Iterable[tuple[int | None, str, str, str]]) -> None:
        """Report errors `(line, code, message, cure)` below an element."""
        for line, code, message, cure in found:
            identified = _identified(element)
            finding = Finding(
                self.file, line or line_of(element), identified[0], identified[1], "error", code, message, cure
            )
            self.report.add(finding)

    def _add(self, severity: Severity, element: etree._Element | None, code: str, message: str, cure: str) -> None:
        line = None if element is None else line_of(element)
        identifier, name = (None, None) if element is None else _identified(element)
        self.report.add(Finding(self.file, line, identifier, name, severity, code, message, cure))


def _identified(element: etree._Element) -> tuple[str | None, str | None]:
    """Return id and name of the element, or of the nearest one around it that has an id and that people see."""
    current: etree._Element | None = element
    while current is not None and (not current.get("id") or str(current.tag).endswith(_PARTS)):
        current = current.getparent()
    if current is None:
        return None, None
    return clip(current.get("id")), clip(current.get("name"))


def line_of(element: etree._Element) -> int | None:
    """Return the line of an element in its file, from 1 (the parser counts up to 65 535)."""
    line = element.sourceline
    return line if isinstance(line, int) else None


def clip(text: str | None, length: int = 80) -> str | None:
    """Shorten what a hostile file may have made long."""
    if not text:
        return None
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
