"""What WeCom's app does for the JS-SDK outside of the page: it checks signatures, keeps pictures, knows the colleagues.

`ui/bridge.js` asks here through a function that whoever drives the browser binds to the page (see `tests/sandbox`): the
address of the page, by which a signature is checked, comes from the browser, never from the page. Only programs on this
machine are answered.
"""

import base64
import binascii
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.codes import fresh
from sandbox.pages import Face, is_loopback
from sandbox.wecom import constants, phone_text, phone_view
from sandbox.wecom.phone_webview import belongs
from sandbox.wecom.records import MEDIA_SECONDS, Media, Member
from sandbox.wecom.state import State

Params = Mapping[str, Any]
Answer = dict[str, Any]
_MOST = 10 * 1024 * 1024  # bytes of a picture
_PREVIEW = 30 * 1024 * 1024  # bytes of a file to be shown
_SECONDS = 10.0


def routes(state: State) -> list[BaseRoute]:
    """Return the route that the bridge asks: {"as", "url" of the page, "name", "params"} → an answer, or {"why"}."""
    native = Native(state)

    async def bridge(request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
            name, params = asked["name"], dict(asked.get("params") or {})
            member, url = state.member(asked["as"]), str(asked["url"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return JSONResponse({"why": "invalid request"}, 400)
        theirs = request.headers.get("origin") is None and is_loopback(request)
        if not theirs or member is None or name not in native.functions:
            return JSONResponse({"why": "no permission"}, 403)
        return JSONResponse(await run_in_threadpool(native.functions[name], member, url, params))

    return [Route("/phone/bridge", bridge, methods=["POST"])]


def signature(ticket: str, nonce: str, timestamp: str, url: str) -> str:
    """Return what a page signs with (D 90506); `url` is the page's address, of which what follows # doesn't count."""
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url.partition('#')[0]}"
    return sha1(text.encode(), usedforsecurity=False).hexdigest()


class Native:
    """The functions by name; each takes who holds the phone, the page's address and what the page gave."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.functions: dict[str, Callable[[Member, str, Params], Answer]] = {
            "preVerifyJSAPI": self.config,
            "agentConfig": self.agent_config,
            "uploadImage": self.upload_image,
            "downloadImage": self.download_image,
            "previewFile": self.preview_file,
            "sandbox.people": self.people,
        }

    def config(self, member: Member, url: str, params: Params) -> Answer:
        """Check a page's signature by the corp's ticket."""
        if params.get("verifyAppId") != constants.CORP_ID:
            return {"why": "invalid corpid"}
        if not self._trusted(url):
            return {"why": "invalid url domain"}
        given = (params.get(f"verify{name}") for name in ("NonceStr", "Timestamp", "Signature"))
        return self._check("corp", url, *given)

    def agent_config(self, member: Member, url: str, params: Params) -> Answer:
        """Check a page's signature by the app's ticket; the app must be one that the member can see."""
        if params.get("corpid") != constants.CORP_ID:
            return {"why": "invalid corpid"}
        agentid = str(params.get("agentid"))
        with self.state.lock:
            agent = next((a for a in self.state.agents.values() if str(a.agentid) == agentid and not a.contacts), None)
            if agent is None or not self.state.visible(agent, member.userid):
                return {"why": "no permission"}
        if agent.domains and not belongs(agent, url):
            return {"why": "invalid url domain"}
        given = (params.get(name) for name in ("nonceStr", "timestamp", "signature"))
        return self._check(f"agent {agentid}", url, *given)

    def upload_image(self, member: Member, url: str, params: Params) -> Answer:
        """Keep a picture as a temporary file, which the app fetches by media/get."""
        try:
            content = base64.b64decode(str(params.get("content", "")), validate=True)
        except binascii.Error:
            return {"why": "invalid picture"}
        if not 0 < len(content) <= _MOST:
            return {"why": "invalid picture size"}
        with self.state.lock:
            name, kind = str(params.get("name")), str(params.get("type"))
            media = Media(fresh(44), "image", name, kind, content, self.state.now())
            self.state.media[media.media_id] = media
        return {"serverId": media.media_id}

    def download_image(self, member: Member, url: str, params: Params) -> Answer:
        """Return a picture that the app or the page uploaded."""
        with self.state.lock:
            media = self.state.media.get(str(params.get("serverId")))
            if media is None or media.at + MEDIA_SECONDS <= self.state.now():
                return {"why": "invalid serverid"}
        return {"name": media.filename, "type": media.content_type, "content": base64.b64encode(media.content).decode()}

    def preview_file(self, member: Member, url: str, params: Params) -> Answer:
        """Fetch a file as the app does: without the page's cookies, so that its address alone must suffice."""
        address = str(params.get("url"))
        if not phone_text.is_web(address) or not self._trusted(address):
            return {"ok": False, "why": "invalid url domain"}
        try:
            with _OPENER.open(address, timeout=_SECONDS) as answer:
                content = answer.read(_PREVIEW + 1)
                kind = answer.headers.get_content_type()
                name = answer.headers.get_filename() or unquote(urlsplit(address).path.rpartition("/")[2])
        except urllib.error.HTTPError as error:
            return {"ok": False, "why": f"http {error.code}"}
        except (OSError, ValueError):
            return {"ok": False, "why": "network error"}
        if len(content) > _PREVIEW:
            return {"ok": False, "why": "file too large"}
        return {"ok": True, "name": name, "type": kind, "size": len(content)}

    def people(self, member: Member, url: str, params: Params) -> Answer:
        """Return colleagues and departments to pick from; `chosen` are those that the page gave as picked already."""
        words = str(params.get("q") or "")
        with self.state.lock:
            state = self.state
            shown = phone_view.find(state, words) if words.strip() else self._near(member, params.get("from"))
            given = [state.member(str(userid)) for userid in params.get("users") or []]
            wanted = [str(number) for number in params.get("departments") or []]
            departments = [d for d in state.departments.values() if words in d.name][: phone_view.FOUND]
            return {
                "found": [*map(_user, shown), *map(_department, departments)],
                "chosen": [
                    *(_user(phone_view.face(state, known)) for known in given if known),
                    *(_department(d) for d in state.departments.values() if str(d.id) in wanted),
                ],
            }

    def _near(self, member: Member, start: Any) -> list[Face]:
        department = member.main_department if start == -1 else 0
        found = self.state.members_of(department) if department else list(self.state.members.values())
        return [phone_view.face(self.state, one) for one in found[: phone_view.FOUND]]

    def _trusted(self, url: str) -> bool:
        """Return whether an address is in the trusted domains of an app; one without any trusts all."""
        with self.state.lock:
            apps = [agent for agent in self.state.agents.values() if not agent.contacts]
            return any(not agent.domains or belongs(agent, url) for agent in apps)

    def _check(self, what: str, url: str, nonce: Any, timestamp: Any, given: Any) -> Answer:
        with self.state.lock:
            ticket, until = self.state.js_tickets.get(what, ("", 0.0))
            if not ticket or until <= self.state.now():
                return {"why": "invalid signature"}
        right = signature(ticket, str(nonce), str(timestamp), url)
        return {} if hmac.compare_digest(right, str(given)) else {"why": "invalid signature"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A page that sends elsewhere, to its login say, is no file."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""
        return


_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def _user(face: Face) -> Answer:
    return {"kind": "user", "id": face.userid, "name": face.name, "label": face.label}


def _department(department: Any) -> Answer:
    return {"kind": "department", "id": str(department.id), "name": department.name, "label": "部门"}
