"""Texts with places (模板) of a site's file, in a part of Jinja2 that can't be made to hang or to grow.

Only expressions and conditions: no loops, assignments, calls, arithmetic or blocks, so a text costs what its length
says; each filter's result is bounded. What a place may be: a name, its attributes and items, parts of a text (`[:50]`),
comparisons, `… if … else …`, `~`, and the filters of `FILTERS`.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine import clock

MAX_SOURCE = 20_000
"""Characters of a template."""
MAX_RENDERED = 256 * 1024
"""Characters of what it becomes, and of each step on the way."""
MAX_FILTERS = 6
"""Filters one after the other."""
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr,
    nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Concat,
)  # fmt: skip


class Mistake(Exception):
    """A template that can't be used; says in Chinese what is wrong and what to do."""


def _tojson(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, datetime) else value, ensure_ascii=False)


def _urlencode(value: object) -> str:
    return quote(str(value), safe="")


def _moment(value: datetime, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return value.astimezone(clock.LOCAL).strftime(form)


def _ms(value: datetime) -> str:
    return str(int(value.timestamp() * 1000))


def _xml(value: object) -> str:
    text = str(value)
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(character, written)
    return text


def _digest(name: str) -> Callable[[object], str]:
    return lambda value: hashlib.new(name, str(value).encode(), usedforsecurity=False).hexdigest()


def _hmac(value: object, secret: str) -> str:
    return hmac.new(secret.encode(), str(value).encode(), hashlib.sha256).hexdigest()


def _base64(value: object) -> str:
    return base64.b64encode(str(value).encode()).decode()


FILTERS: dict[str, Callable[..., str]] = {
    "tojson": _tojson,  # a JSON value, quotes included
    "urlencode": _urlencode,  # for a part of an address or a form
    "xml": _xml,
    "moment": _moment,  # a moment in local time, with strftime's form
    "ms": _ms,  # a moment in ms since 1970
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
    "trim": lambda value: str(value).strip(),
    "base64": _base64,
    "md5": _digest("md5"),
    "sha256": _digest("sha256"),
    "hmac_sha256": _hmac,
}
"""What a template may do with a value, by name."""


def _bounded(work: Callable[..., str]) -> Callable[..., str]:
    def bounded(value: object, *args: object) -> str:
        if isinstance(value, StrictUndefined):
            str(value)  # raises
        return _within(work(value, *args))

    return bounded


def _within(text: str) -> str:
    if len(text) > MAX_RENDERED:
        raise SecurityError("too long")
    return text


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset()

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        self.globals = {}
        self.filters = {name: _bounded(work) for name, work in FILTERS.items()}


_ENVIRONMENT = _Environment()


class Text:
    """A compiled template: immutable, shared between threads."""

    __slots__ = ("_template", "names", "source")

    def __init__(self, source: str, known: Collection[str]) -> None:
        """Compile it; `known` are the names that it may use. Raises Mistake."""
        if len(source) > MAX_SOURCE:
            raise Mistake(f"模板超过 {MAX_SOURCE} 个字符，请缩短")
        try:
            tree = _ENVIRONMENT.parse(source)
            _check(tree)
            self.names = frozenset(find_undeclared_variables(tree))
            self._template = _ENVIRONMENT.from_string(source)
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            raise Mistake(f"模板{f'第 {line} 行' if line else ''}写得不对（{error.message}），请改正") from None
        except RecursionError:
            raise Mistake("模板嵌套过深，请拆开") from None
        if unknown := sorted(self.names - set(known)):
            raise Mistake(f"不认识“{unknown[0]}”，这里可用：" + "、".join(sorted(known)))
        self.source = source

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text with these values. Raises Mistake, without any of them, where they don't fit it."""
        parts, size = list[str](), 0
        try:
            for part in self._template.generate(values):
                size += len(part)
                if size > MAX_RENDERED:
                    break
                parts.append(part)
            else:
                return "".join(parts)
        except SecurityError:
            pass
        except TemplateError as error:  # of an undefined name, which is the template's own word
            raise Mistake(f"模板里有取不到的值（{error.message}），请改正") from None
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise Mistake(f"模板算不出来（{type(error).__name__}），请检查过滤器用在了什么值上") from None
        raise Mistake(f"模板算出来的内容超过 {MAX_RENDERED // 1024} KB，或用了不允许的属性，请改正")


def _check(tree: nodes.Template) -> None:
    """Refuse what could cost more than its length; raises Mistake."""
    for node in tree.iter_child_nodes():
        _check_node(node, 0)


def _check_node(node: nodes.Node, filters: int) -> None:
    if not isinstance(node, _ALLOWED):
        name = type(node).__name__
        raise Mistake(f"模板第 {node.lineno} 行用了不支持的写法 {name}：只能取值、比较、if、~ 和过滤器，请改写")
    if isinstance(node, nodes.Filter):
        filters += 1
        if node.name not in FILTERS:
            raise Mistake(f"模板第 {node.lineno} 行：没有过滤器“{node.name}”，可用：" + "、".join(FILTERS))
        if filters > MAX_FILTERS:
            raise Mistake(f"模板第 {node.lineno} 行：过滤器最多连用 {MAX_FILTERS} 个，请减少")
    for child in node.iter_child_nodes():
        _check_node(child, filters)
