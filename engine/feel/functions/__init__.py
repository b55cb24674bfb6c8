"""The built-in functions (DMN 1.5, 10.3.4), by name."""

from engine.feel.functions import contexts, conversion, dates, lists, numbers, ranges, strings
from engine.feel.values import FeelFunction

BUILTINS: dict[str, FeelFunction] = {}
for _module in (conversion, strings, numbers, lists, dates, ranges, contexts):
    BUILTINS.update(_module.BUILTINS.functions())
