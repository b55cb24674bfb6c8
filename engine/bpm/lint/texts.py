"""Checks of expressions: FEEL that compiles, no remnants of other languages, names and types that the data has."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from engine import feel
from engine.bpm.forms import FieldType
from engine.bpm.lint.finding import Reporter, Severity, clip
from engine.feel import FeelType, nodes
from engine.feel.kinds import NAMES
from engine.feel.parser import parse

_REWRITABLE = 500  # characters
_STRINGS = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_WRAPPED = re.compile(r"\s*(?:[$#]\{(.*)\}|=(?!=)(.*))\s*", re.DOTALL)
# Python, JUEL and JavaScript as people type them, and what FEEL calls it.
_FOREIGN = (
    (re.compile(r"={2,3}"), "="),
    (re.compile(r"!==|<>"), "!="),
    (re.compile(r" ?&& ?"), " and "),
    (re.compile(r" ?\|\| ?"), " or "),
    (re.compile(r"\bis\s+not\s+None\b"), "!= null"),
    (re.compile(r"\bis\s+None\b"), "= null"),
    (re.compile(r"\bTrue\b"), "true"),
    (re.compile(r"\bFalse\b"), "false"),
    (re.compile(r"\bNone\b"), "null"),
    (re.compile(r"\bnot\s+(?!\()([\w.]+)"), r"not(\1)"),
    (re.compile(r"!\s*(?!=)([\w.]+)"), r"not(\1)"),
    (re.compile(r"\blen\("), "count("),
    (re.compile(r"\bstr\("), "string("),
    (re.compile(r"\b(?:int|float|Decimal)\("), "number("),
)


_UNLIKELY = frozenset({"unknown_name", "unknown_path", "unknown_value", "unreachable_branch"})
_NOTHING: Mapping[str, FeelType] = {}


def severity_of(code: str) -> Severity:
    """Return how bad a problem of the type check is: what is only always null or never reached is allowed."""
    return "warning" if code in _UNLIKELY else "error"


def cure_of(problem: feel.Problem) -> str:
    """Return the cure of a problem of the type check, in a process."""
    if problem.code == "unknown_name" and not problem.cure.startswith("写成"):
        return f"{problem.cure}；没有这个字段的，先在表单里加上"
    return problem.cure


@dataclass(frozen=True, slots=True)
class Texts:
    """Checks the expressions of one process.

    `types` are those of the names that its forms, operations and so on bring into the data, and of the engine's own;
    `names` are the former; `complete`: there are no others. `fields` are what forms declare the names to be, where
    nothing else writes them.
    """

    report: Reporter
    names: frozenset[str]
    types: Mapping[str, FeelType]
    fields: Mapping[str, frozenset[FieldType]]
    complete: bool

    def check(
        self,
        element: etree._Element,
        text: str,
        what: str,
        *,
        local: Mapping[str, FeelType] = _NOTHING,
        result: FeelType | None = None,
    ) -> feel.Expression | None:
        """Check an expression and return it, None where it has an error.

        `what` names it for people, `local` are further names in sight there, `result` is the type that it has to give.
        """
        if not text.strip():
            self.report.error(element, "expression_empty", f"{what}是空的", "写上 FEEL 表达式，或删去这个元素")
            return None
        if not self.report.report.expression(len(text)):
            self.report.error(element, "expressions_long", "流程里的表达式合起来太长", "把长表达式改成表单里的计算字段")
            return None
        try:
            expression = feel.compile(text)
        except feel.FeelError as error:
            self._refuse(element, text, what, error.message)
            return None
        types = {**self.types, **local}
        unknown = expression.names - types.keys()
        if unknown and feel_form(text) != text:
            self._refuse(element, text, what, "")
            return None
        called = unknown.intersection(called_names(text)) if unknown else frozenset[str]()
        for name in sorted(called):
            self.report.error(
                element, "unknown_function", f"{what}里的函数“{clip(name, 40)}”不存在", "改用 FEEL 的内置函数"
            )
        sound = not called and self._check_types(element, text, what, types, result)
        return expression if sound else None

    def _check_types(
        self,
        element: etree._Element,
        text: str,
        what: str,
        types: Mapping[str, FeelType],
        result: FeelType | None,
    ) -> bool:
        """Report what the type check finds; return whether there is no error among it."""
        sound = True
        if self.report.report.full:
            return sound
        for problem in feel.check(text, types, result=result, names=(), complete=self.complete):
            place = f"第 {problem.line} 行第 {problem.column} 列" if "\n" in text else f"第 {problem.column} 个字"
            shown = f"{what}“{clip(text, 60)}”{place}：{problem.message}"
            if severity_of(problem.code) == "warning":
                self.report.warning(element, problem.code, shown, cure_of(problem))
            else:
                self.report.error(element, problem.code, shown, cure_of(problem))
                sound = False
        return sound

    def kind(self, text: str) -> str | None:
        """Return the kind of a correct expression's value, None where it is not known."""
        found = feel.infer(text, self.types, names=()).name
        return found if found in NAMES else None

    def check_value(
        self,
        element: etree._Element,
        text: str | None,
        what: str,
        *,
        local: Mapping[str, FeelType] = _NOTHING,
    ) -> None:
        """Check a text that is FEEL where it begins with `=` and literal otherwise."""
        if text is not None and text.startswith("="):
            self.check(element, text[1:], what, local=local)

    def _refuse(self, element: etree._Element, text: str, what: str, message: str) -> None:
        rewritten = feel_form(text)
        if rewritten != text:
            shown = clip(text, 60)
            cure = "只用 FEEL：= 表示等于，and、or、not(…) 连接，文本用双引号"
            if _compiles(rewritten):
                cure = f"写成 {clip(rewritten, 200)}"
            self.report.error(element, "not_feel", f"{what}“{shown}”不是 FEEL，是别的语言的写法", cure)
        else:
            self.report.error(
                element,
                "expression_invalid",
                f"{what}“{clip(text, 60)}”不是正确的 FEEL（{message}）",
                '参照 FEEL 改正，如 days > 3 and kind = "病假"',
            )


def feel_form(text: str) -> str:
    """Return the text as FEEL would write it, as far as it looks like another language; long ones as they are."""
    if len(text) > _REWRITABLE:
        return text
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped:
        text = (wrapped[1] or wrapped[2] or "").strip()
    parts = _STRINGS.split(text)
    for index, part in enumerate(parts):
        if index % 2:
            if part.startswith("'"):
                inner = part[1:-1].replace("\\'", "'")
                parts[index] = '"' + re.sub(r'(?<!\\)"', '\\"', inner) + '"'
        else:
            for pattern, replacement in _FOREIGN:
                part = pattern.sub(replacement, part)
            parts[index] = part
    return "".join(parts)


def called_names(text: str) -> Iterator[str]:
    """Yield the names that an expression calls as functions."""
    for node in walk(parse(text)):
        if isinstance(node, nodes.Call) and isinstance(node.function, nodes.Name):
            yield node.function.name


def walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Yield all nodes of an expression's tree."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.children())


def _compiles(text: str) -> bool:
    try:
        feel.compile(text)
    except feel.FeelError:
        return False
    return True
