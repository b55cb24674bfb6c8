"""FEEL, the one expression language of flows, forms and decisions (DMN 1.5, chapter 10): compiled to closures, safe.

>>> compile('天数 > 7 and 部门 = "儿科"').evaluate({"天数": 9, "部门": "儿科"})
True

Text goes through `scanner`, `lexer` (names joined) and `parser` (LALR; `builder` makes `nodes`) to `compiler`
(closures; `comparison`, `iteration`, `calls`, `scope`), which work on `values` by `operators`, `paths`, `types`,
`temporal` (`far`: all years) and `functions` (`patterns` and `xpath`: regular expressions); `xsd` reads XML Schema's.
`limits` bounds every run.
`checking` finds before any run what is surely wrong (`inference`, `operations`, `invocation` over types; `kinds` asks
the operators; `cases` asks the conditions).
"""

from engine.feel.checking import check, infer
from engine.feel.errors import FeelError, FeelLimitError, FeelSyntaxError
from engine.feel.expression import Expression, UnaryTests, compile, compile_unary  # noqa: A004
from engine.feel.functions import BUILTINS
from engine.feel.limits import DEFAULT_LIMITS, Limits
from engine.feel.problems import Problem
from engine.feel.texts import to_plain
from engine.feel.types import FeelType
from engine.feel.values import FeelFunction, Range, YearsMonthsDuration, number
from engine.feel.xsd import from_xsd

FUNCTION_NAMES = frozenset(BUILTINS)
"""The names of the built-in functions, for editors and checks."""

__all__ = [
    "DEFAULT_LIMITS",
    "FUNCTION_NAMES",
    "Expression",
    "FeelError",
    "FeelFunction",
    "FeelLimitError",
    "FeelSyntaxError",
    "FeelType",
    "Limits",
    "Problem",
    "Range",
    "UnaryTests",
    "YearsMonthsDuration",
    "check",
    "compile",
    "compile_unary",
    "from_xsd",
    "infer",
    "number",
    "to_plain",
]
