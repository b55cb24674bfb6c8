"""Landray EKP (蓝凌): what sysNotifyTodoWebService does with todos, whichever way it is asked.

A todo is kept per person. A repeated sendTodo makes a second one, as some versions do; `settings.upsert` mends that.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.oa import targets
from sandbox.oa.calls import moment, text
from sandbox.oa.lists import Lists
from sandbox.oa.records import ZONE, Person, Row, State
from sandbox.oa.settings import LandraySettings
from sandbox.oa.targets import Broken

VIEW_PATH = "sys/notify/sys_notify_todo/sysNotifyTodo.do"
NOTHING, FAILED, DONE = 0, 1, 2  # returnState

Landray = Lists[LandraySettings]
Fields = Mapping[str, Any]

_TIME = "%Y-%m-%d %H:%M:%S"
_OPEN_IN: dict[int, State] = {1: "todo", 2: "read"}  # type
_URGENCIES = {"1": 3, "2": 2, "3": 0}  # by level
_LEVELS = {3: 1, 2: 2}  # by urgency; else 3
_OWN_MODEL = "com.landray.kmss.km.review.model.KmReviewMain"
_ALL_DONE, _ALL_OPEN, _HANDLED, _READ = -1, 0, 4, 5  # type of getTodo; 1 and 2 as in sendTodo


@dataclass(frozen=True, slots=True)
class Result:
    """NotifyTodoAppResult."""

    state: int
    message: str = ""


def send(oa: Landray, given: Fields) -> Result:
    """Do sendTodo."""
    lacking = _lacking(
        "sendTodo", given, "modelName modelId subject link mobileLink padLink type targets createTime".split()
    )
    if lacking:
        return lacking
    kind = _OPEN_IN.get(_number(given, "type"))
    if kind is None:
        return Result(FAILED, f"待办类型【{text(given, 'type')}】不合法")
    people = targets.people(oa.people, text(given, "targets"))
    if not people:
        return _nobody(given)
    at = moment(text(given, "createTime"))
    if at is None:
        raise Broken(f'Unparseable date: "{text(given, "createTime")[:40]}"')
    for person in people:
        _put(oa, person, kind, at, given)
    return Result(DONE)


def set_done(oa: Landray, given: Fields) -> Result:
    """Do setTodoDone."""

    def finish(row: Row) -> None:
        oa.close(row, "done")

    return _each(oa, "setTodoDone", given, finish, only_open=True)


def delete(oa: Landray, given: Fields) -> Result:
    """Do deleteTodo."""
    return _each(oa, "deleteTodo", given, oa.remove, only_open=False)


def update(oa: Landray, given: Fields) -> Result:
    """Do updateTodo: another subject, link or level for all whom it waits for."""
    lacking = _lacking("updateTodo", given, "modelName modelId subject link type".split())
    if lacking:
        return lacking
    found = [row for row in _meant(oa, given) if row.open]
    for row in found:
        _write(row, given)
        oa.changed()
    return Result(DONE if found else NOTHING)


def get(oa: Landray, given: Fields) -> Result:
    """Do getTodo."""
    lacking = _lacking("getTodo", given, ["targets"])
    if lacking:
        return lacking
    people = targets.people(oa.people, text(given, "targets"))
    if not people:
        return _nobody(given)
    wanted = _number(given, "type")
    conditions = list(_conditions(given))
    rows = [
        row
        for person in people
        for row in oa.waiting(person.number)
        if _listed(row, wanted) and all(_facts(row).get(name) == value for name, value in conditions)
    ]
    if not rows:
        return Result(DONE, json.dumps({"errorPage": "true", "message": "没有记录"}, ensure_ascii=False))
    done = wanted in (_ALL_DONE, _HANDLED, _READ)
    rows.sort(key=lambda r: (r.handled_at if done and r.handled_at else r.received_at, r.id), reverse=True)
    size = _number(given, "rowSize")
    size = size if size > 0 else oa.settings.rows
    pages = math.ceil(len(rows) / size)
    page = min(max(_number(given, "pageNo"), 1), pages)  # beyond the last page comes the last page again
    docs = [_doc(row) for row in rows[(page - 1) * size : page * size]]
    message = {"pageCount": pages, "pageno": page, "count": len(rows), "docs": docs}
    return Result(DONE, json.dumps(message, ensure_ascii=False))


OPERATIONS: dict[str, Callable[[Landray, Fields], Result]] = {
    "sendTodo": send,
    "setTodoDone": set_done,
    "deleteTodo": delete,
    "updateTodo": update,
    "getTodo": get,
}


def _put(oa: Landray, person: Person, kind: State, at: datetime, given: Fields) -> None:
    row = next((r for r in _meant(oa, given) if r.account == person.number and r.open), None)
    if row is None or not oa.settings.upsert:
        number = oa.number()
        row = Row(number, text(given, "modelId"), person.number, kind, "", model=text(given, "modelName"))
        row.system, row.params, row.received_at = text(given, "appName"), _params(given), at
        creator = targets.first(oa.people, text(given, "docCreator"))
        if creator is not None:
            row.sender, row.sender_account = creator.name, creator.number
        _write(row, given)
        row.kind, row.notified = kind, 1
        oa.add(row)
        return
    _write(row, given)
    row.state = row.kind = kind
    row.notified += 1
    oa.changed()


def _write(row: Row, given: Fields) -> None:
    row.title, row.link = text(given, "subject"), text(given, "link")
    row.mobile_link = text(given, "mobileLink")
    row.urgency = _URGENCIES.get(text(given, "level"), 0)


def _each(oa: Landray, method: str, given: Fields, act: Callable[[Row], None], *, only_open: bool) -> Result:
    """Do something with each todo that is meant: optType 1 of everybody, 2 of the targets only."""
    lacking = _lacking(method, given, "modelName modelId optType".split())
    if lacking:
        return lacking
    option = _number(given, "optType")
    if option not in (1, 2):
        return Result(FAILED, f"操作类型【{text(given, 'optType')}】不合法")
    found = [row for row in _meant(oa, given) if row.open or not only_open]
    if option == 2:
        people = {person.number for person in targets.people(oa.people, text(given, "targets"))}
        if not people:
            return _nobody(given)
        found = [row for row in found if row.account in people]
    for row in found:
        act(row)
    return Result(DONE if found else NOTHING)


def _meant(oa: Landray, given: Fields) -> Iterator[Row]:
    """Yield the rows that the fields mean: of the same model and id, and of what else is given."""
    system, kind = text(given, "appName"), _OPEN_IN.get(_number(given, "type"))
    params = _params(given)
    removing = bool(text(given, "optType"))
    for row in oa.having(text(given, "modelId")):
        if row.own or row.model != text(given, "modelName") or (system and row.system != system):
            continue
        if any(p and p != r for p, r in zip(params, row.params, strict=True)):
            continue
        if not removing or kind is None or row.kind == kind:
            yield row


def _params(given: Fields) -> tuple[str, str, str]:
    return text(given, "key"), text(given, "param1"), text(given, "param2")


def _lacking(method: str, given: Fields, names: list[str]) -> Result | None:
    """Return the refusal where a field is missing, empty, or the text null."""
    for name in names:
        if text(given, name).strip() in ("", "null") or (name == "type" and text(given, name) == "0"):
            return Result(FAILED, f"方法{method}中,不允许待办上下文中“{name}”信息为空!")
    return None


def _nobody(given: Fields) -> Result:
    return Result(FAILED, f"根据参数信息“{text(given, 'targets')[:100]}”找不到对应的组织架构人员")


def _number(given: Fields, name: str) -> int:
    value = text(given, name).strip() or "0"
    try:
        return int(value)
    except ValueError:
        raise Broken(f'For input string: "{value[:20]}"') from None


def _conditions(given: Fields) -> Iterator[tuple[str, str]]:
    if not text(given, "otherCond"):
        return
    try:
        conditions = json.loads(text(given, "otherCond"))
    except (ValueError, RecursionError):
        raise Broken("otherCond: A JSONArray text must start with '['") from None
    if not isinstance(conditions, list) or not all(isinstance(one, dict) for one in conditions):
        raise Broken("otherCond: A JSONArray text must start with '['")
    for one in conditions:
        yield from ((name, str(value)) for name, value in one.items() if name in _FACTS)


def _listed(row: Row, wanted: int) -> bool:
    if wanted in _OPEN_IN:
        return row.state == _OPEN_IN[wanted]
    if wanted == _ALL_OPEN:
        return row.open
    if wanted in (_ALL_DONE, _HANDLED, _READ):
        return not row.open and (wanted == _ALL_DONE or (row.kind == "read") == (wanted == _READ))
    return False  # 3: suspended, which no other system's todo is


_FACTS = frozenset("subject link key param1 param2 appName modelName modelId".split())


def _facts(row: Row) -> dict[str, str]:
    key, param1, param2 = row.params
    return {
        "subject": row.title,
        "link": row.link,
        "key": key,
        "param1": param1,
        "param2": param2,
        "appName": row.system,
        "modelName": row.model or _OWN_MODEL,
        "modelId": row.key,
    }


def _doc(row: Row) -> dict[str, Any]:
    facts = _facts(row)
    return {
        "id": row.id,
        "subject": facts["subject"],
        "type": 2 if row.kind == "read" else 1,
        "key": facts["key"],
        "param1": facts["param1"],
        "param2": facts["param2"],
        "appName": facts["appName"],
        "modelName": facts["modelName"],
        "moduleName": row.workflow,
        "modelId": facts["modelId"],
        "level": str(_LEVELS.get(row.urgency, 3)),
        "createTime": row.received_at.astimezone(ZONE).strftime(_TIME),
        "creator": row.sender_account,
        "creatorName": row.sender,
        "link": f"/{VIEW_PATH}?method=view&fdId={row.id}",
    }
