"""What those do who join through WeCom; and the pictures that members choose in it."""

import io
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from starlette.responses import JSONResponse, RedirectResponse

from api.deps import Visit, require_same_origin
from engine import attachments, clock
from engine.connectors.wecom.client.errors import unavailable
from engine.connectors.wecom.entry import joining
from engine.errors import EngineError, Forbidden, Invalid
from web.pages.wecom import browser_token, client, codes, join_page, let_in, refused_page
from web.session import Posted, Router, Submitted

router = Router()


class _Joining(Visit):
    """Somebody who joins, with what they have filled in; a refusal is shown in its place."""

    def __init__(self, request: Request, fields: dict[str, str]) -> None:
        super().__init__(request, reading=True)
        self.fields = fields
        require_same_origin(request, self.settings)
        request.state.refused = self._refused

    def text(self, name: str) -> str:
        """Return a field, shortened to what anybody would type."""
        return self.fields.get(name, "")[:200]

    def on(self) -> Response:
        """Show the page anew."""
        return RedirectResponse(f"/wecom/join?{urlencode({'state': self.text('state')})}", 303)

    def _refused(self, error: EngineError) -> Response:
        try:
            if isinstance(error, Forbidden):
                return refused_page(self.request, error, "/")
            return join_page(
                self,
                self.text("state"),
                again="number" in self.fields,
                error=error,
                number=self.text("number"),
                name=self.text("name"),
            )
        except EngineError as further:
            return refused_page(self.request, further, "/")


async def _joining(request: Request, fields: Submitted) -> _Joining:
    return _Joining(request, {name: value for name, value in fields.items() if isinstance(value, str)})


Joining = Annotated[_Joining, Depends(_joining)]


@router.post("/wecom/join")
def name(call: Joining) -> Response:
    """Say who one is: whom WeCom names, we don't know."""
    joining.name(call.db, codes(call), call.text("state"), browser_token(call), call.text("number"), call.text("name"))
    return call.on()


@router.post("/wecom/join/send")
def send(call: Joining) -> Response:
    """Have a code sent."""
    joining.send_code(call.db, codes(call), call.text("state"), browser_token(call), call.text("way"))
    return call.on()


@router.post("/wecom/join/check")
def check(call: Joining) -> Response:
    """Come in with the code."""
    arrival = joining.finish(
        call.db, codes(call), call.text("state"), browser_token(call), call.text("code"), call.browser()
    )
    return let_in(call, arrival)


@router.post("/wecom/pictures")
def picture(call: Posted) -> Response:
    """Take a picture that a member has chosen in WeCom, from where WeCom keeps it: staged as any upload is."""
    wecom = client(call)
    with unavailable():  # before the transaction begins, which is with its first statement
        content = wecom.download(call.text("media_id")[:600])
    extension = attachments.picture_extension(content)
    if extension is None:
        raise Invalid("这不是可以上传的图片，请改用“添加附件”", code="not_a_picture")
    name = f"照片 {clock.now().astimezone(clock.LOCAL):%m-%d %H.%M.%S}.{extension}"
    found = attachments.receive(call.session, call.settings, call.actor, name, io.BytesIO(content))
    return JSONResponse({"id": str(found.id), "name": found.name, "size": found.size}, 201)
