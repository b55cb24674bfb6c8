"""Tokens to the syntax tree: the grammar of DMN 1.5 (10.3.1.2) as LALR(1).

The standard's grammar is ambiguous; its precedence list (loosest first: for/if/some/every/function, or, and,
comparison, + -, * /, **, unary minus, instance of, path/filter/call) is spelled out here. A control form may stand
wherever an operand may and reaches as far right as it can: the one deliberate shift/reduce conflict.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, cast

from lark import Lark
from lark import Token as LarkToken
from lark.exceptions import UnexpectedInput
from lark.lexer import Lexer

from engine.feel import nodes as n
from engine.feel.builder import Refused, TreeBuilder
from engine.feel.errors import FeelLimitError, FeelSyntaxError, at
from engine.feel.lexer import tokens_of
from engine.feel.limits import MAX_NESTING, MAX_SOURCE
from engine.feel.scanner import Token

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
    | FUNCTION                             -> type_name
    | NAME TLT type TGT                    -> type_generic
    | NAME TLT TGT                         -> type_context
    | NAME TLT NAME COLON type (COMMA NAME COLON type)* TGT -> type_context
    | FUNCTION TLT [type (COMMA type)*] TGT ARROW type -> type_function
"""

_EXPECTED = {
    "COMMA": ("“,”", '","'), "RPAR": ("“)”", '")"'), "RSQB": ("“]”", '"]"'), "RBRACE": ("“}”", '"}"'),
    "COLON": ("“:”", '":"'), "THEN": ("then", "then"), "ELSE": ("else", "else"), "IN": ("in", "in"),
    "RETURN": ("return", "return"), "SATISFIES": ("satisfies", "satisfies"), "NAME": ("名称", "a name"),
    "AND": ("and", "and"), "LPAR": ("“(”", '"("'), "NUMBER": ("值", "a value"), "CMP": ("运算符", "an operator"),
    "$END": ("结束", "the end"),
}  # fmt: skip
# What goes without saying where another is expected: a value may be a name, an operator may be `in`.
_IMPLIED = {"NUMBER": {"NAME", "LPAR", "CMP"}, "PLUS": {"LPAR"}, "CMP": {"IN", "AND"}}


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
    except Refused as error:
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
    accepts -= set[str]().union(*(implied for kind, implied in _IMPLIED.items() if kind in accepts))
    wanted = [label for kind, label in _EXPECTED.items() if kind in accepts]
    zh = "，此处应为 " + "、".join(label[0] for label in wanted) if wanted else ""
    en = "; expected " + ", ".join(label[1] for label in wanted) if wanted else ""
    if token is None or token.type == "$END":
        return FeelSyntaxError(f"表达式不完整{zh}", f"the expression ends too early{en}", **at(text, len(text)))
    return FeelSyntaxError(
        f"“{token}”不该出现在这里{zh}", f"unexpected {str(token)!r}{en}", **at(text, token.start_pos)
    )


@cache
def _lark() -> Lark:
    return Lark(
        _GRAMMAR,
        parser="lalr",
        lexer=_Tokens,
        start=["expression", "unary_tests"],
        transformer=TreeBuilder(),
        maybe_placeholders=True,
    )
