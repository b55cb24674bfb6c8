"""The desk page, where a human plays people in their OA: four lists, kept up to date, and what opens from them.

The page asks for what changed and waits for an answer (`/desk/feed`), so an item comes and goes as soon as the service
says so. Who is meant stands in the address: nobody logs in to the stand-in.
"""

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.oa import desk_jump, desk_view
from sandbox.oa.constants import SYSTEM
from sandbox.oa.desk_view import SKINS, Skin
from sandbox.oa.records import Person, Row
from sandbox.oa.state import State
from sandbox.pages import HEADERS, TEMPLATES, UI, newer, own

_HERE = Path(__file__).parent
_PAGES = Environment(
    loader=FileSystemLoader([_HERE / "templates", TEMPLATES]), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_PAGES.globals.update(skins=list(SKINS.values()), home=desk_view.home)
_OWN = (
    "科室设备巡检反馈",
    "职工信息采集核对",
    "会议室借用确认",
    "办公用品领用确认",
)


def routes(state: State) -> list[BaseRoute]:
    """Return the routes of the desk page and of what it opens."""
    pages = Desks(state)
    return [
        Route("/", lambda _: RedirectResponse("/desk")),
        Route("/desk", pages.show),
        Route("/desk/feed", pages.feed),
        Route("/desk/people", pages.people),
        Route("/desk/jump", pages.jump),
        Route("/desk/handle", own(pages.handle), methods=["POST"]),
        Route("/desk/start", own(pages.start), methods=["POST"]),
        Mount("/desk/ui", StaticFiles(directory=_HERE / "ui")),
        UI,
        Route("/{oa}/view", pages.view, methods=["GET"]),
        Route("/{oa}/view", own(pages.finish), methods=["POST"]),
        Route("/{oa}/mobile", pages.view),
        Route("/{oa}/sso/ticket", pages.ticket),
    ]


class Desks:
    """The handlers; each holds the state's lock while it reads."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._tickets = desk_jump.Tickets()

    def show(self, request: Request) -> Response:
        """Show the desk of the person `as` in the OA `oa`; without, of the first of the story in Landray's."""
        with self.state.lock:
            skin, person = self._asked(request)
            person = person or next(iter(desk_view.cast(self.state)), None)
            if person is None:
                return _told("没有人员", "这个沙箱里还没有人员，先载入演示医院。", skin)
            return _page(
                "desk.html",
                skin=skin,
                person=desk_view.face(person),
                cast=[desk_view.face(one) for one in desk_view.cast(self.state)],
                shown=desk_view.lists(self.state, skin, person.number),
            )

    async def feed(self, request: Request) -> Response:
        """Return a person's lists as soon as there is another version; 204 where nothing changes for a while."""
        if await newer(lambda: self.state.version, request.query_params.get("version", "")):
            return await run_in_threadpool(self._news, request)
        return Response(status_code=204, headers=HEADERS)

    def people(self, request: Request) -> Response:
        """Return the rows of the people who match `q`."""
        base = request.query_params.get("base", "")
        with self.state.lock:
            found = [desk_view.face(one) for one in desk_view.find(self.state, request.query_params.get("q", ""))]
        return _page("people.html", found=found, base=base if base.startswith("/desk?") else "/desk?as=")

    def jump(self, request: Request) -> Response:
        """Open a row of somebody's list: an own item's page, or the address behind it with what lets them in."""
        with self.state.lock:
            skin, person = self._asked(request)
            row = self._row(skin, request.query_params.get("id", ""))
            if row is None or person is None or row.account != person.number:
                return _told("这条已不在列表里", f"它已被{SYSTEM}撤走，或已交给别人办理。", skin, person)
            self.state.oas[skin.oa].look(row.id)
            if row.own:
                return RedirectResponse(row.link, 303, HEADERS)
            mobile = "Mobile" in request.headers.get("user-agent", "")
            link = row.mobile_link if mobile and row.mobile_link else row.link
            if not desk_view.is_web(link):
                return _told("打不开", "推送过来的链接不是一个网址。", skin, person)
            let_in = desk_jump.jump(self._tickets, skin.oa, link, row.account, row.key, self.state.now())
            return RedirectResponse(let_in, 303, HEADERS)

    def ticket(self, request: Request) -> Response:
        """Tell the service whose a ticket is, once."""
        with self.state.lock:
            oa, ticket = request.path_params["oa"], request.query_params.get("ticket", "")
            account = self._tickets.take(oa, ticket, self.state.now())
        if account is None:
            return JSONResponse({"success": False, "message": "票据无效或已过期"}, 401)
        return JSONResponse({"success": True, "user": {"loginName": account}})

    async def handle(self, request: Request) -> Response:
        """Handle a row of ours in the OA itself: {"oa", "as", "id", "outcome", "opinion"}."""
        try:
            asked = json.loads(await request.body())
            skin, id_, account = SKINS[asked["oa"]], str(asked["id"]), str(asked["as"])
            outcome, opinion = str(asked["outcome"]), str(asked.get("opinion", ""))[:500]
        except (ValueError, KeyError, TypeError, AttributeError):
            return PlainTextResponse("请求不完整，刷新后再点", 422)
        with self.state.lock:
            row = self._row(skin, id_)
            if not skin.quick or row is None or not row.open or row.account != account:
                return PlainTextResponse("这条已不在待办里", 409)
            self.state.oas[skin.oa].handle(row.key, account, outcome, opinion)
        return Response(status_code=204)

    async def start(self, request: Request) -> Response:
        """Let a process of the OA's own wait for a person; back to their desk."""
        async with request.form() as form:
            skin = SKINS.get(str(form.get("oa")), SKINS["landray"])
            account = str(form.get("as"))
        with self.state.lock:
            lists = self.state.oas[skin.oa]
            if account not in self.state.people:
                return _told("没有这个人", "这个 OA 里没有这个账号。", skin)
            count = sum(row.own for row in lists.of(account))
            lists.start_own(account, _OWN[count % len(_OWN)], workflow="行政事务", node="经办", sender="院办")
        return RedirectResponse(desk_view.home(skin.oa, account), 303, HEADERS)

    def view(self, request: Request) -> Response:
        """Show an own item."""
        with self.state.lock:
            skin, row = self._own(request)
            if row is None:
                return _told("没有这条事项", "它已不在这个 OA 里。", skin)
            return _page("own.html", skin=skin, row=row, person=self.state.people[row.account])

    def finish(self, request: Request) -> Response:
        """Handle an own item; its page says so."""
        with self.state.lock:
            skin, row = self._own(request)
            if row is not None and row.open:
                self.state.oas[skin.oa].finish_own(row.key, row.account)
        return RedirectResponse(str(request.url), 303, HEADERS)

    def _asked(self, request: Request) -> tuple[Skin, Person | None]:
        query = request.query_params
        return SKINS.get(query.get("oa", ""), SKINS["landray"]), self.state.people.get(query.get("as", ""))

    def _row(self, skin: Skin, id_: str) -> Row | None:
        return next((row for row in self.state.oas[skin.oa].rows() if row.id == id_), None)

    def _own(self, request: Request) -> tuple[Skin, Row | None]:
        skin = SKINS.get(request.path_params["oa"], SKINS["landray"])
        row = self._row(skin, request.query_params.get("id", ""))
        return skin, row if row is not None and row.own else None

    def _news(self, request: Request) -> Response:
        with self.state.lock:
            skin, person = self._asked(request)
            shown = desk_view.lists(self.state, skin, person.number if person else "")
            html = _PAGES.get_template("desk_rows.html").module.lists(shown)  # type: ignore[attr-defined]
            return JSONResponse({"version": self.state.version, "lists": html}, headers=HEADERS)


def _page(template: str, status: int = 200, **facts: object) -> HTMLResponse:
    return HTMLResponse(_PAGES.get_template(template).render(facts), status, HEADERS)


def _told(title: str, why: str, skin: Skin, person: Person | None = None) -> HTMLResponse:
    return _page("own.html", 404, title=title, why=why, skin=skin, person=person)
