"""The phone page, where a human plays members of the corp: one phone, or two side by side, kept up to date.

The page asks for what changed and waits for an answer (`/phone/feed`), so a card changes as soon as the app updates it.
"""

import json
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.pages import HEADERS, UI, is_loopback, moment, newer, own
from sandbox.wecom import clicks, phone_bridge, phone_tools, phone_view, phone_webview
from sandbox.wecom.phone_pages import HERE, page, part
from sandbox.wecom.records import Member
from sandbox.wecom.state import State

_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp")


def routes(state: State) -> list[BaseRoute]:
    """Return the phone page's routes, those of its webview, bridge and test bench included."""
    pages = Phones(state)
    return [
        Route("/", lambda _: RedirectResponse("/phone")),
        Route("/phone", pages.show),
        Route("/phone/feed", pages.feed),
        Route("/phone/people", pages.people),
        Route("/phone/person", pages.person),
        Route("/phone/read", own(pages.read), methods=["POST"]),
        Route("/phone/click", own(pages.click), methods=["POST"]),
        Route("/phone/media/{media_id}", pages.media),
        Mount("/phone/ui", StaticFiles(directory=HERE / "ui")),
        UI,
        *phone_webview.routes(state),
        *phone_bridge.routes(state),
        *phone_tools.routes(state),
    ]


class Phones:
    """The handlers of the page; each holds the state's lock while it reads."""

    def __init__(self, state: State) -> None:
        self.state = state

    def show(self, request: Request) -> Response:
        """Show the phones of the members `as` and `and`; without any, those of the story."""
        with self.state.lock:
            people = self._asked(request) or phone_view.story(self.state)
            if not people:
                return page("outside.html", 404, title="没有成员", why="这个沙箱里还没有成员，先载入演示医院。", url="")
            phones = [
                {
                    "member": phone_view.face(self.state, member),
                    "base": _address(*("" if other is member else other.userid for other in people)),
                    "close": _address(*(o.userid for o in people if o is not member)) if people[1:] else "",
                }
                for at, member in enumerate(people)
            ]
            cast = phone_view.cast(self.state)
            known = [*phone_view.story(self.state), *self.state.members.values()]
            other = next((member for member in known if member is not people[0]), people[0])
            return page(
                "phone.html",
                phones=phones,
                cast=cast,
                version=self.state.version,
                other_url=_address(people[0].userid, other.userid),
                tools=is_loopback(request),
            )

    async def feed(self, request: Request) -> Response:
        """Return what the phones show, as soon as it differs from `version`; 204 where nothing changes for a while."""
        if await newer(lambda: self.state.version, request.query_params.get("version", "")):
            return await run_in_threadpool(self._news, request)
        return Response(status_code=204, headers=HEADERS)

    def people(self, request: Request) -> Response:
        """Return the rows of the people who match `q`."""
        base = request.query_params.get("base", "")
        with self.state.lock:
            found = phone_view.find(self.state, request.query_params.get("q", ""))
        return page("people.html", found=found, base=base if base.startswith("/phone?") else _address(""))

    def person(self, request: Request) -> Response:
        """Return a member's card with name and department (名片)."""
        with self.state.lock:
            member = self.state.member(request.query_params.get("userid", ""))
            if member is None:
                return PlainTextResponse("没有这个成员", 404)
            return page("profile.html", member=phone_view.face(self.state, member))

    def read(self, request: Request) -> Response:
        """Mark a conversation as seen by a member."""
        with self.state.lock:
            phone_view.read(self.state, request.query_params.get("as", ""), request.query_params.get("talk", ""))
        return Response(status_code=204)

    async def click(self, request: Request) -> Response:
        """Press a card's button for a member, or choose from its menu: {"as", "message", "key", "menu", "selected"}."""
        try:
            asked = json.loads(await request.body())
            who, message, key = str(asked["as"]), str(asked["message"]), str(asked["key"])
            selected = {str(question): [str(one) for one in ids] for question, ids in asked.get("selected", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return PlainTextResponse("请求不完整，刷新后再点", 422)
        try:
            if asked.get("menu"):
                clicks.choose_from_menu(self.state, who, message, key)
            else:
                clicks.click(self.state, who, message, key, selected)
        except clicks.ClickRefused as refused:
            return PlainTextResponse(str(refused), 409)
        return Response(status_code=204)

    def media(self, request: Request) -> Response:
        """Return a file that an app uploaded; only pictures are shown in place."""
        with self.state.lock:
            media = self.state.media.get(request.path_params["media_id"])
        if media is None:
            return PlainTextResponse("文件不存在，或已过期", 404)
        if media.content_type in _INLINE:
            return Response(media.content, media_type=media.content_type, headers=HEADERS)
        headers = HEADERS | {"Content-Disposition": "attachment"}
        return Response(media.content, media_type="application/octet-stream", headers=headers)

    def _asked(self, request: Request) -> list[Member]:
        wanted = [request.query_params.get(name, "") for name in ("as", "and")]
        found = {member.key: member for userid in wanted if (member := self.state.member(userid))}
        return list(found.values())

    def _news(self, request: Request) -> Response:
        with self.state.lock:
            cast = phone_view.cast(self.state)
            unread = {face.userid: sum(phone_view.unread(self.state, face.userid).values()) for face in cast}
            phones = {member.userid: self._panes(member) for member in self._asked(request)}
            return JSONResponse({"version": self.state.version, "phones": phones, "unread": unread}, headers=HEADERS)

    def _panes(self, member: Member) -> dict[str, Any]:
        state, userid = self.state, member.userid
        facts = {
            "member": phone_view.face(state, member),
            "now": moment(state.now(), state.now()),
            "media_name": lambda media_id: found.filename if (found := state.media.get(media_id)) else "",
        }

        def pane(name: str, *arguments: Any) -> str:
            return part("panes.html", name, facts, *arguments)

        return {
            "chat": pane("chat", phone_view.chat(state, userid), userid),
            "groups": pane("groups", phone_view.rooms(state, userid), userid),
            "workbench": pane("workbench", phone_view.workbench(state, userid), userid),
            "me": pane("me", userid),
            "unread": phone_view.unread(state, userid),
        }


def _address(*userids: str) -> str:
    """Return the page's address for one or two members; where one is "", what ends it is to be appended."""
    first, *more = [*userids]
    named = [("as", first), ("and", more[0])] if more else [("as", first)]
    return "/phone?" + urlencode(sorted(named, key=lambda pair: pair[1] == ""))
