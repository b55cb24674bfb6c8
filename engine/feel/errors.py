"""What the expression language refuses: text that is not FEEL, and evaluations that exceed their limits."""

from engine.errors import Invalid


class FeelError(Invalid):
    """An expression cannot be compiled or evaluated.

    `message` is Chinese and `message_en` English, both with the place; `line` and `column` (from 1) are None where
    no place in the text is to blame (a value of the context, a limit reached at run time).
    """

    code = "feel"

    def __init__(self, message: str, message_en: str, *, line: int | None = None, column: int | None = None) -> None:
        if line is not None:
            message = f"第 {line} 行第 {column} 列：{message}"
            message_en = f"line {line}, column {column}: {message_en}"
        super().__init__(message, line=line, column=column)
        self.message_en = message_en
        self.line = line
        self.column = column


class FeelSyntaxError(FeelError):
    """The text is not a FEEL expression."""

    code = "feel.syntax"


class FeelLimitError(FeelError):
    """A limit of source length, nesting, steps or sizes was exceeded."""

    code = "feel.limit"


def at(text: str, offset: int) -> dict[str, int]:
    """Return the `line` and `column` (from 1) of a character offset of `text`."""
    offset = min(offset, len(text))
    start = text.rfind("\n", 0, offset) + 1
    return {"line": text.count("\n", 0, offset) + 1, "column": offset - start + 1}
