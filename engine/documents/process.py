"""What document processes ask of this feature: the operation `documents.number`."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from engine.bpm.operations import Context, OperationError, operation
from engine.clock import LOCAL
from engine.documents.numbering import allocate
from engine.errors import Invalid


@operation("documents.number")
def number(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the document its number (编号): inputs `word` and, optionally, `year`; the result is `text`."""
    year = inputs.get("year") or context.now.astimezone(LOCAL).year
    try:
        text = allocate(
            session,
            word=str(inputs.get("word") or ""),
            year=int(year),
            instance_id=context.instance_id,
            request=context.key,
            now=context.now,
        )
    except (Invalid, ValueError) as error:
        raise OperationError(
            "number", error.message if isinstance(error, Invalid) else f"年份“{year}”不是数字"
        ) from error
    return {"text": text, "year": int(year)}
