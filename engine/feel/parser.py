"""Tokens to the syntax tree: the grammar of DMN 1.5 (10.3.1.2) as LALR(1).

The standard's grammar is ambiguous; its precedence list (loosest first: for/if/some/every/function, or, and,
comparison, + -, * /, **, unary minus, instance of, path/filter/call) is spelled out here. A control form may stand
wherever an operand may and reaches as far right as it can: the one deliberate shift/reduce conflict.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, cast

from lark import Lark, Transformer
from lark import Token as LarkToken
from lark.exceptions import UnexpectedInput
from lark.lexer import Lexer

from engine.feel import nodes as n
from engine.feel.errors import FeelLimitError, FeelSyntaxError, at
from engine.feel.lexer import Token, tokens_of
from engine.feel.limits import MAX_NESTING, MAX_SOURCE
from engine.feel.literals import at_literal, number_literal, string_literal

_GRAMMAR = r"""
%declare NUMBER STRING AT NAME TRUE FALSE NULL IF THEN ELSE FOR IN RETURN SOME EVERY SATISFIES AND OR BETWEEN
%declare INSTANCEOF FUNCTION EXTERNAL NOT POW DOTS ARROW CMP PLUS MINUS STAR SLASH LPAR RPAR LSQB RSQB LBRACE RBRACE
%declare COMMA COLON DOT TLT TGT LRANGE RRANGE

expression: or_

unary_tests: test (COMMA test)*            -> unary
    | NOT LPAR test (COMMA test)* RPAR     -> unary_not
test: or_                                  -> test_value
    | CMP add                              -> test_cmp

?or_: and_
    | and_ (OR and_)+                      -> or_
?and_: comparison
    | comparison (AND comparison)+         -> and_
?comparison: add
    | comparison CMP add                   -> compare
    | comparison BETWEEN add AND add       -> between
    | comparison IN add                    -> in_value
    | comparison IN CMP add                -> in_cmp
    | comparison IN LPAR test (COMMA test)+ RPAR -> in_tests
?add: mul
    | mul ((PLUS | MINUS) mul)+            -> chain
?mul: pow
    | pow ((STAR | SLASH) pow)+            -> chain
?pow: minus
    | minus (POW minus)+                   -> chain
?minus: instance
    | MINUS minus                          -> minus
?instance: postfix
    | postfix INSTANCEOF type              -> instance
?postfix: primary
    | postfix DOT NAME                     -> path
    | postfix LSQB or_ RSQB                -> filter
    | postfix LPAR RPAR                    -> call
    | postfix LPAR arguments RPAR          -> call

arguments: or_ (COMMA or_)*                -> positional
    | named (COMMA named)*                 -> named_list
named: NAME COLON or_

?primary: NUMBER                           -> number
    | STRING                               -> string
    | AT                                   -> at_
    | TRUE                                 -> true
    | FALSE                                -> false
    | NULL                                 -> null
    | NAME                                 -> name
    | LPAR or_ RPAR                        -> parenthesis
    | LPAR CMP add RPAR                    -> half_range
    | (LPAR | LSQB | LRANGE) or_ DOTS or_ (RPAR | RSQB | RRANGE) -> range_
    | LSQB RSQB                            -> list_
    | LSQB or_ (COMMA or_)* RSQB           -> list_
    | LBRACE RBRACE                        -> context
    | LBRACE entry (COMMA entry)* RBRACE   -> context
    | IF or_ THEN or_ ELSE or_             -> if_
    | FOR iterator (COMMA iterator)* RETURN or_              -> for_
    | (SOME | EVERY) iterator (COMMA iterator)* SATISFIES or_ -> quantified
    | FUNCTION LPAR RPAR [EXTERNAL] or_    -> function
    | FUNCTION LPAR parameter (COMMA parameter)* RPAR [EXTERNAL] or_ -> function

entry: (NAME | STRING) COLON or_
iterator: NAME IN or_ [DOTS or_]
parameter: NAME [COLON type]

type: NAME (DOT NAME)*                     -> type_name
    | NULL                                 -> type_name
    | NAME TLT type TGT                    -> type_generic
    | NAME TLT NAME COLON type (COMMA NAME COLON type)* TGT -> type_context
    | FUNCTION TLT [type (COMMA type)*] TGT ARROW type -> type_function
"""

_EXPECTED = {
    "COMMA": ("“,”", '","'), "RPAR": ("“)”", '")"'), "RSQB": ("“]”", '"]"'), "RBRACE": ("“}”", '"}"'),
    "COLON": ("“:”", '":"'), "THEN": ("then", "then"), "ELSE": ("else", "else"), "IN": ("in", "in"),
    "RETURN": ("return", "return"), "SATISFIES": ("satisfies", "satisfies"), "NAME": ("名称", "a name"),
    "AND": ("and", "and"), "LPAR": ("“(”", '"("'), "NUMBER": ("值", "a value"),
}  # fmt: skip


class _Tokens(Lexer):
    """Hands the joined tokens to Lark, which would rather read text."""

    def __init__(self, lexer_conf: Any) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any = None) -> Iterator[LarkToken]:
        tokens: list[Token] = lexer_state
        for token in tokens:
            yield LarkToken(token.kind, token.text, start_pos=token.offset)


def parse(text: str, names: Iterable[str] | None = None) -> n.Node:
    """Return the tree of an expression; FeelSyntaxError, FeelLimitError."""
    return _parse(text, names, "expression")


def parse_unary(text: str, names: Iterable[str] | None = None) -> n.UnaryTestList:
    """Return the tree of a decision table's unary tests; FeelSyntaxError, FeelLimitError."""
    if text.strip() == "-":
        return n.UnaryTestList((), False, offset=0)
    tree = _parse(text, names, "unary_tests")
    assert isinstance(tree, n.UnaryTestList)
    return tree


def _parse(text: str, names: Iterable[str] | None, start: str) -> n.Node:
    if len(text) > MAX_SOURCE:
        raise FeelLimitError(f"表达式超过 {MAX_SOURCE} 个字符", f"the expression exceeds {MAX_SOURCE} characters")
    tokens = tokens_of(text, names)
    if not tokens:
        raise FeelSyntaxError("表达式为空", "the expression is empty", line=1, column=1)
    if start == "unary_tests" and tokens[0].text == "not" and _encloses(tokens):
        tokens[0] = Token("NOT", "not", tokens[0].offset)
    try:
        tree = cast(n.Node, _lark().parse(cast(str, tokens), start=start))
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    except _Refused as error:
        raise error.located(text) from None
    if tree.depth > MAX_NESTING:
        raise FeelLimitError(f"表达式嵌套超过 {MAX_NESTING} 层", f"nested deeper than {MAX_NESTING} levels")
    return tree


def _encloses(tokens: list[Token]) -> bool:
    """Tell whether the parenthesis behind the first token closes at the last one."""
    depth = 0
    for index, token in enumerate(tokens[1:], 1):
        depth += {"LPAR": 1, "RPAR": -1}.get(token.kind, 0)
        if depth <= 0:
            return token.kind == "RPAR" and index == len(tokens) - 1
    return False


def _unexpected(text: str, error: UnexpectedInput) -> FeelSyntaxError:
    token: Any = getattr(error, "token", None)
    accepts = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    wanted = [label for kind, label in _EXPECTED.items() if kind in accepts]
    zh = "，此处应为 " + "、".join(label[0] for label in wanted) if wanted else ""
    en = "; expected " + ", ".join(label[1] for label in wanted) if wanted else ""
    if token is None or token.type == "$END":
        return FeelSyntaxError(f"表达式不完整{zh}", f"the expression ends too early{en}", **at(text, len(text)))
    return FeelSyntaxError(
        f"“{token}”不该出现在这里{zh}", f"unexpected {str(token)!r}{en}", **at(text, token.start_pos)
    )


class _Refused(Exception):
    """A literal that cannot be; located once the text is at hand."""

    def __init__(self, offset: int, message: str, message_en: str) -> None:
        super().__init__(message_en)
        self.offset, self.message, self.message_en = offset, message, message_en

    def located(self, text: str) -> FeelSyntaxError:
        return FeelSyntaxError(self.message, self.message_en, **at(text, self.offset))


Child = Any  # a node, a token, a tuple of either, or None for an absent optional part


def _place(children: list[Child]) -> int:
    first = children[0]
    return int(first.start_pos or 0) if isinstance(first, LarkToken) else int(first.offset)


def _only(children: list[Child], kind: Any) -> tuple[Any, ...]:
    return tuple(child for child in children if isinstance(child, kind))


def _kind(child: Child) -> str:
    return str(child.type) if isinstance(child, LarkToken) else ""


def _literal(read: Callable[[str], object]) -> Callable[["_Build", list[Child]], n.Node]:
    def build(self: "_Build", children: list[Child]) -> n.Node:
        offset = _place(children)
        try:
            return n.Literal(read(str(children[0])), offset=offset)
        except ValueError as error:
            raise _Refused(offset, *error.args) from None

    return build


class _Build(Transformer[LarkToken, n.Node]):
    """Builds the nodes bottom-up while the parser reduces; children are the tokens and nodes of the rule."""

    number = _literal(number_literal)
    string = _literal(string_literal)
    at_ = _literal(at_literal)
    true = _literal(lambda _: True)
    false = _literal(lambda _: False)
    null = _literal(lambda _: None)

    def expression(self, c: list[Child]) -> n.Node:
        return c[0]  # type: ignore[no-any-return]

    def parenthesis(self, c: list[Child]) -> n.Node:
        return c[1]  # type: ignore[no-any-return]

    def name(self, c: list[Child]) -> n.Node:
        return n.Name(str(c[0]), offset=_place(c))

    def unary(self, c: list[Child]) -> n.Node:
        return n.UnaryTestList(_only(c, n.UnaryTest), False, offset=_place(c))

    def unary_not(self, c: list[Child]) -> n.Node:
        return n.UnaryTestList(_only(c, n.UnaryTest), True, offset=_place(c))

    def test_value(self, c: list[Child]) -> n.Node:
        return n.UnaryTest("", c[0], offset=_place(c))

    def test_cmp(self, c: list[Child]) -> n.Node:
        return n.UnaryTest(str(c[0]), c[1], offset=_place(c))

    def or_(self, c: list[Child]) -> n.Node:
        return n.Logic("or", _only(c, n.Node), offset=_place(c))

    def and_(self, c: list[Child]) -> n.Node:
        return n.Logic("and", _only(c, n.Node), offset=_place(c))

    def compare(self, c: list[Child]) -> n.Node:
        return n.Comparison(str(c[1]), c[0], c[2], offset=_place(c))

    def between(self, c: list[Child]) -> n.Node:
        return n.Between(c[0], c[2], c[4], offset=_place(c))

    def in_value(self, c: list[Child]) -> n.Node:
        return n.In(c[0], (n.UnaryTest("", c[2], offset=c[2].offset),), offset=_place(c))

    def in_cmp(self, c: list[Child]) -> n.Node:
        return n.In(c[0], (n.UnaryTest(str(c[2]), c[3], offset=_place(c[2:])),), offset=_place(c))

    def in_tests(self, c: list[Child]) -> n.Node:
        return n.In(c[0], _only(c, n.UnaryTest), offset=_place(c))

    def chain(self, c: list[Child]) -> n.Node:
        rest = tuple((str(c[index]), c[index + 1]) for index in range(1, len(c), 2))
        return n.Chain(c[0], rest, offset=_place(c))

    def minus(self, c: list[Child]) -> n.Node:
        return n.Negation(c[1], offset=_place(c))

    def instance(self, c: list[Child]) -> n.Node:
        return n.InstanceOf(c[0], c[2], offset=_place(c))

    def path(self, c: list[Child]) -> n.Node:
        return n.Path(c[0], str(c[2]), offset=_place(c))

    def filter(self, c: list[Child]) -> n.Node:
        return n.Filter(c[0], c[2], offset=_place(c))

    def call(self, c: list[Child]) -> n.Node:
        arguments = c[2] if isinstance(c[2], tuple) else ()
        return n.Call(c[0], arguments, offset=_place(c))

    def positional(self, c: list[Child]) -> tuple[n.Argument, ...]:
        return tuple(n.Argument(None, value, offset=value.offset) for value in _only(c, n.Node))

    def named_list(self, c: list[Child]) -> tuple[n.Argument, ...]:
        return _only(c, n.Argument)

    def named(self, c: list[Child]) -> n.Node:
        return n.Argument(str(c[0]), c[2], offset=_place(c))

    def half_range(self, c: list[Child]) -> n.Node:
        op, operand = str(c[1]), c[2]
        low = operand if op in (">", ">=", "=", "!=") else None
        high = operand if op in ("<", "<=") else None
        return n.RangeOf(low, high, op in (">=", "="), op in ("<=", "="), op, offset=_place(c))

    def range_(self, c: list[Child]) -> n.Node:
        return n.RangeOf(c[1], c[3], _kind(c[0]) == "LSQB", _kind(c[4]) == "RSQB", offset=_place(c))

    def list_(self, c: list[Child]) -> n.Node:
        return n.ListOf(_only(c, n.Node), offset=_place(c))

    def context(self, c: list[Child]) -> n.Node:
        entries = _only(c, n.Entry)
        seen: set[str] = set()
        for entry in entries:
            if entry.key in seen:
                raise _Refused(entry.offset, f"上下文中的键“{entry.key}”重复", f"duplicate key {entry.key!r}")
            seen.add(entry.key)
        return n.Context(entries, offset=_place(c))

    def entry(self, c: list[Child]) -> n.Node:
        key = string_literal(str(c[0])) if _kind(c[0]) == "STRING" else str(c[0])
        return n.Entry(key, c[2], offset=_place(c))

    def if_(self, c: list[Child]) -> n.Node:
        return n.If(c[1], c[3], c[5], offset=_place(c))

    def for_(self, c: list[Child]) -> n.Node:
        return n.For(_only(c, n.Iteration), c[-1], offset=_place(c))

    def quantified(self, c: list[Child]) -> n.Node:
        return n.Quantified(str(c[0]), _only(c, n.Iteration), c[-1], offset=_place(c))

    def function(self, c: list[Child]) -> n.Node:
        external = any(_kind(child) == "EXTERNAL" for child in c)
        return n.Function(_only(c, n.Parameter), c[-1], external, offset=_place(c))

    def iterator(self, c: list[Child]) -> n.Node:
        return n.Iteration(str(c[0]), c[2], c[4], offset=_place(c))

    def parameter(self, c: list[Child]) -> n.Node:
        return n.Parameter(str(c[0]), c[2], offset=_place(c))

    def type_name(self, c: list[Child]) -> n.Node:
        return n.Type("".join(str(token) for token in c), offset=_place(c))

    def type_generic(self, c: list[Child]) -> n.Node:
        return n.Type(str(c[0]), (c[2],), offset=_place(c))

    def type_context(self, c: list[Child]) -> n.Node:
        keys = tuple(str(token) for token in c[2:] if _kind(token) == "NAME")
        return n.Type(str(c[0]), _only(c, n.Type), keys, offset=_place(c))

    def type_function(self, c: list[Child]) -> n.Node:
        return n.Type("function", _only(c, n.Type), offset=_place(c))


@cache
def _lark() -> Lark:
    return Lark(
        _GRAMMAR,
        parser="lalr",
        lexer=_Tokens,
        start=["expression", "unary_tests"],
        transformer=_Build(),
        maybe_placeholders=True,
    )
