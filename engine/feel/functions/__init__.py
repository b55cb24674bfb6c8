"""The built-in functions (DMN 1.5, 10.3.4), by name."""

from engine.feel.functions import contexts, conversion, dates, lists, numbers, ranges, strings
from engine.feel.functions.registry import Signature
from engine.feel.values import FeelFunction

BUILTINS: dict[str, FeelFunction] = {}
SIGNATURES: dict[str, tuple[Signature, ...]] = {}
"""How each may be called."""
for _module in (conversion, strings, numbers, lists, dates, ranges, contexts):
    BUILTINS.update(_module.BUILTINS.functions())
    SIGNATURES.update(_module.BUILTINS.signatures())
