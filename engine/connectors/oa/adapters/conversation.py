"""Asking the OA of a `template` site: log in where it wants that, send, and tell from the answer what it means."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine import clock
from engine.connectors.oa.adapters.errors import TOLD, says
from engine.connectors.oa.adapters.http import Answer, Http, by_status, clipped, unanswered
from engine.connectors.oa.adapters.interface import Call, Compiled, Login
from engine.connectors.oa.adapters.protocol import Take, UnknownPerson
from engine.connectors.oa.adapters.rendering import Mistake
from engine.connectors.oa.adapters.template_site import TemplateSite
from engine.connectors.tokens import Flights, InProcess
from engine.outbox import Configuration, Permanent, Transient

_LOGIN = "login"
_SORTS: tuple[tuple[str, type[Exception]], ...] = (
    ("configuration", Configuration),
    ("unknown_person", UnknownPerson),
    ("permanent", Permanent),
    ("transient", Transient),
)


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer, and what formulas see of it."""

    raw: Answer
    context: dict[str, object]


class Conversation:
    """The way to one OA. Safe to share between threads."""

    def __init__(self, site: TemplateSite, compiled: Compiled, take: Take) -> None:
        self._site, self._interface, self._compiled = site, site.template, compiled
        self._http, self._tokens = Http(site, take), Flights(InProcess())
        self._always = {
            "user": site.user,
            "password": site.password.get_secret_value(),
            "secret": site.template.secret.get_secret_value(),
        }

    def ask(
        self, call: Call, values: Mapping[str, Any], private: Iterable[str] = (), already: Iterable[str] = ()
    ) -> dict[str, object]:
        """Return what an answer of success says, for formulas. Raises as `Adapter.put`.

        `private`: texts of the request that no error may repeat; `already`: words of a refusal that is a success.
        """
        login = self._compiled.login
        if login is None:
            return self._judged(call, self._sent(call, values, ""), private, already)
        token = self._token(login)
        reply = self._sent(call, values, token)
        if login.expired.value(reply.context) is True:
            self._tokens.tokens.drop(_LOGIN, token)
            token = self._token(login)
            reply = self._sent(call, values, token)
        return self._judged(call, reply, (*private, token), already)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _token(self, login: Login) -> str:
        def fetch() -> tuple[str, float]:
            token = login.token.value(self._judged(login.call, self._sent(login.call, {}, "")))
            if not token:
                raise Configuration(f"“{self._site.name}”的回答里没有 login.token 所说的令牌，请检查用户名、密码和公式")
            return str(token), login.lasts

        return self._tokens.get(_LOGIN, fetch)

    def _sent(self, call: Call, values: Mapping[str, Any], token: str) -> _Reply:
        try:
            request = call.request({**self._always, "token": token, "now": clock.now(), **values})
        except Mistake as mistake:
            raise Permanent(f"按“{self._site.name}”的 site.toml 写不出这条请求：{mistake}") from None
        raw = self._http.ask(request.method, request.path, headers=request.headers, content=request.content)
        try:
            answer = json.loads(raw.text)
        except (ValueError, RecursionError):
            answer = None
        return _Reply(raw, {"status": raw.status, "text": raw.text, "answer": answer})

    def _judged(
        self, call: Call, reply: _Reply, private: Iterable[str] = (), already: Iterable[str] = ()
    ) -> dict[str, object]:
        """Return what a reply says for formulas where it is a success; raises what it means otherwise."""
        raw, context = reply.raw, reply.context
        hidden = [*private, *(str(value) for value in list(self._always.values())[1:])]
        good = 200 <= raw.status < 300
        readable = not raw.is_page and (self._interface.answers == "text" or context["answer"] is not None)
        if good and readable and call.success.value(context) is True:
            return context
        words = self._words(raw, context) if readable else ""
        if words and _says(already, words, hidden):
            return context
        for field, kind in _SORTS:
            if _says(getattr(self._interface.errors, field), words, hidden):
                raise kind(f"{TOLD[kind]}：{clipped(words, *hidden)}")
        if not good:
            raise by_status(raw, *hidden)
        if not words:
            raise unanswered("没有 site.toml 所说的内容" if readable else "不是 JSON")
        raise Permanent(f"{TOLD[Permanent]}：{clipped(words, *hidden)}")

    def _words(self, raw: Answer, context: Mapping[str, object]) -> str:
        told = raw.words() if self._compiled.message is None else self._compiled.message.value(context)
        return told if isinstance(told, str) else ""


def _says(known: Iterable[str], words: str, hidden: Iterable[str]) -> bool:
    return any(says(re.compile(re.escape(each.lower())), words, hidden) for each in known)
