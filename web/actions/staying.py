"""Where one is after acting on an item or an instance: on the same page, refused or done."""

import uuid
from collections.abc import Callable
from urllib.parse import urlencode

from fastapi import Response

from engine.errors import EngineError
from web.pages.detail import Typed
from web.session import Page, Post, local_path


def stay(call: Post, shown: Callable[[Page, uuid.UUID, Typed], Response], id_: uuid.UUID, dialog: str = "") -> None:
    """On a refusal show a page again, with the dialog open and what was typed in it."""
    fields = {name: value for name, value in call.fields.items() if isinstance(value, str)}

    def again(page: Page, error: EngineError) -> Response:
        return shown(page, id_, Typed(opinion=call.text("_opinion"), fields=fields, dialog=dialog, error=error))

    call.or_else(again)


def go_on(call: Post, path: str, verb: str) -> Response:
    """Show a page as it is now, with what was done; the list that one came from goes with it."""
    given = call.text("_from")
    back = local_path(given, local_path(given, "", below="/admin/"), below="/box/")
    return call.go(f"{path}?{urlencode({'done': verb} | ({'from': back} if back else {}))}")
