"""Checks of expressions: FEEL that compiles, no remnants of other languages, names that the data has."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from engine import feel
from engine.bpm.extensions import RESERVED
from engine.bpm.lint.finding import Reporter, clip
from engine.feel import nodes
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


@dataclass(frozen=True, slots=True)
class Texts:
    """Checks the expressions of one process.

    `names` are those that its forms, operations and so on bring into the data; `complete`: there are no others.
    """

    report: Reporter
    names: frozenset[str]
    complete: bool

    def check(
        self, element: etree._Element, text: str, what: str, *, local: frozenset[str] = frozenset()
    ) -> feel.Expression | None:
        """Check an expression; `what` names it for people, `local` are further names in sight there."""
        names = self.names | RESERVED | local
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
        unknown = sorted(expression.names - names)
        if unknown and feel_form(text) != text:
            self._refuse(element, text, what, "")
            return None
        called = set(called_names(text)).intersection(unknown) if unknown else set[str]()
        for name in sorted(called):
            self.report.error(
                element, "unknown_function", f"{what}里的函数“{clip(name, 40)}”不存在", "改用 FEEL 的内置函数"
            )
        if self.complete and (missing := [name for name in unknown if name not in called]):
            self.report.warning(
                element,
                "unknown_name",
                f"{what}里的“{clip('、'.join(missing), 80)}”没有任何表单或操作提供，值总是空",
                "改成已有字段的名称，或在表单里加上这个字段",
            )
        return expression

    def check_value(
        self, element: etree._Element, text: str | None, what: str, *, local: frozenset[str] = frozenset()
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
