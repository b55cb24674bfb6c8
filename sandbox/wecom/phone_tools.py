"""The test bench beside the phones: the clock, injected errors, what became of callbacks, what was dropped.

Only for a browser on this machine.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from http.client import HTTPException
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.pages import CHINA, is_loopback, moment, own
from sandbox.wecom import callbacks, phone_view
from sandbox.wecom.api.endpoints import ENDPOINTS
from sandbox.wecom.errors import ApiError
from sandbox.wecom.phone_pages import page
from sandbox.wecom.records import Event, Fault
from sandbox.wecom.state import State

_LISTED = 40  # of the newest callbacks, and of dropped messages
_STEPS = {600: "10 分钟", 7200: "2 小时", 86400: "1 天", 259200: "72 小时"}
_ERRORS = {
    -1: "系统繁忙",
    40014: "令牌失效",
    42001: "令牌过期",
    45009: "调用太频繁",
    45033: "并发太多",
    48002: "没有接口权限",
    60020: "来源地址不可信",
    60140: "response_code 无效",
    81013: "收件人全部无效",
}
_MOST_TIMES, _MOST_SECONDS, _MOST_ADVANCE = 10_000, 60.0, 400 * 86400.0


def routes(state: State) -> list[BaseRoute]:
    """Return the routes of the test bench."""
    bench = Bench(state)
    return [
        Route("/phone/tools", bench.show),
        Route("/phone/tools/advance", own(bench.advance), methods=["POST"]),
        Route("/phone/tools/fault", own(bench.fault), methods=["POST"]),
        Route("/phone/tools/mend", own(bench.mend), methods=["POST"]),
        Route("/phone/tools/again", own(bench.again), methods=["POST"]),
    ]


class Bench:
    """The handlers of the test bench; what a tester changes is in the query."""

    def __init__(self, state: State) -> None:
        self.state = state

    def show(self, request: Request) -> Response:
        """Return the bench as it is."""
        if not is_loopback(request):
            return _elsewhere()
        with self.state.lock:
            now = self.state.now()
            return page(
                "tools.html",
                now=datetime.fromtimestamp(now, CHINA).strftime("%Y-%m-%d %H:%M:%S"),
                ahead=_span(self.state.offset),
                steps=_STEPS,
                endpoints=["*", *sorted({"gettoken", *ENDPOINTS})],
                errors=_ERRORS,
                faults=[_fault(fault) for fault in self.state.faults],
                events=[self._event(event) for event in reversed(self.state.events[-_LISTED:])],
                dropped=list(self._dropped()),
            )

    def advance(self, request: Request) -> Response:
        """Move the clock on by `seconds`."""
        if not is_loopback(request):
            return _elsewhere()
        seconds = _number(request.query_params, "seconds")
        if not 0 < seconds <= _MOST_ADVANCE:
            return PlainTextResponse("时间只能往前拨，最多 400 天", 422)
        self.state.advance(seconds)
        return Response(status_code=204)

    def fault(self, request: Request) -> Response:
        """Let the next `times` calls of `endpoint` go wrong: `kind` is an errcode, http, reset or slow."""
        if not is_loopback(request):
            return _elsewhere()
        query = request.query_params
        endpoint, kind, times = query.get("endpoint", ""), query.get("kind", ""), int(_number(query, "times"))
        if endpoint not in ("*", "gettoken", *ENDPOINTS) or not 0 < times <= _MOST_TIMES:
            return PlainTextResponse("选一个接口，次数 1 到 10000", 422)
        fault = Fault(endpoint, times)
        match kind:
            case "http":
                fault.status = 502
            case "reset":
                fault.reset = True
            case "slow":
                fault.latency = min(max(_number(query, "seconds"), 0.1), _MOST_SECONDS)
            case _ if (code := int(_number(query, "kind"))) in _ERRORS:
                fault.errcode = code
            case _:
                return PlainTextResponse("选一种故障", 422)
        with self.state.lock:
            self.state.faults.append(fault)
            self.state.touch()
        return Response(status_code=204)

    def mend(self, request: Request) -> Response:
        """Take all injected faults back."""
        if not is_loopback(request):
            return _elsewhere()
        with self.state.lock:
            self.state.faults.clear()
            self.state.touch()
        return Response(status_code=204)

    async def again(self, request: Request) -> Response:
        """Send callback `event` once more: freshly encrypted, or with `replay` the very bytes of before."""
        if not is_loopback(request):
            return _elsewhere()
        query, number = request.query_params, int(_number(request.query_params, "event"))
        with self.state.lock:
            event = self.state.events[number - 1] if 0 < number <= len(self.state.events) else None
        if event is None:
            return PlainTextResponse("没有这条回调", 404)
        try:
            status = await run_in_threadpool(
                callbacks.replay if "replay" in query else callbacks.repeat, self.state, event
            )
        except (ApiError, OSError, HTTPException) as error:
            return PlainTextResponse(f"没有送到：{error}", 502)
        return PlainTextResponse(f"应用答复了 HTTP {status}")

    def _event(self, event: Event) -> dict[str, Any]:
        member = self.state.member(str(event.fields.get("FromUserName", "")))
        return {
            "id": event.id,
            "moment": datetime.fromtimestamp(event.at, CHINA).strftime("%H:%M:%S"),
            "name": event.fields.get("Event") or event.fields.get("MsgType", ""),
            "key": event.fields.get("EventKey", ""),
            "who": member.name if member else event.fields.get("FromUserName", ""),
            "attempts": event.attempts,
            "status": "delivered" if event.delivered else "failed" if event.done.is_set() else "pending",
            "fields": json.dumps(event.fields, ensure_ascii=False, indent=1, default=str),
        }

    def _dropped(self) -> Iterator[dict[str, str]]:
        left = _LISTED
        for message in reversed(list(self.state.messages.values())):
            for key in sorted(message.dropped)[:left]:
                left -= 1
                member = self.state.member(key)
                yield {
                    "moment": moment(message.at, self.state.now()),
                    "who": member.name if member else key,
                    "what": phone_view.summary(message.msgtype, message.content),
                }
            if left <= 0:
                return


def _elsewhere() -> Response:
    return PlainTextResponse("测试台只在本机打开", 403)


def _number(query: Mapping[str, str], name: str) -> float:
    try:
        return float(query.get(name, ""))
    except ValueError:
        return 0.0


def _fault(fault: Fault) -> dict[str, Any]:
    if fault.reset:
        what = "断开连接"
    elif fault.status:
        what = f"HTTP {fault.status}"
    elif fault.errcode:
        what = f"{fault.errcode} {_ERRORS.get(fault.errcode, '')}".strip()
    elif fault.silent:
        what = "照办但不回答"
    else:
        what = f"慢 {fault.latency:g} 秒"
    return {"endpoint": "全部接口" if fault.endpoint == "*" else fault.endpoint, "times": fault.times, "what": what}


def _span(seconds: float) -> str:
    """Return how far the clock is ahead, in Chinese; nothing where it isn't."""
    minutes = round(seconds / 60)
    days, rest = divmod(minutes, 1440)
    parts = [(days, "天"), (rest // 60, "小时"), (rest % 60, "分钟")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
