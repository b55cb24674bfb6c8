"""What a story expects: raises Unexpected, in Chinese, where it is not so."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.bpm.models import Incident
from engine.bpm.scenarios.scene import Scene, Unexpected, each
from engine.bpm.scenarios.stories import EVERYONE
from engine.org.demo import CAST

Args = Mapping[str, Any]


def expect_end(session: Session, scene: Scene, end: Args) -> None:
    """Check state, data and path at the end of a story."""
    state = scene.instance(session).state
    if state != end["state"]:
        raise Unexpected(f"结束时应为 {end['state']}，实际是 {state}")
    _expect(session, scene, {"data": end.get("data", {})})
    path = scene.path(session)
    for element in end.get("passed", ()):
        if element not in path:
            raise Unexpected(f"应经过 {element}，没有经过")
    for element in end.get("not_passed", ()):
        if element in path:
            raise Unexpected(f"不应经过 {element}，却经过了")


def _expect(session: Session, scene: Scene, args: Args) -> None:
    instance, data = scene.instance(session), scene.data(session)
    for name in ("title", "summary", "urgency"):
        if name in args and getattr(instance, name) != args[name]:
            raise Unexpected(f"{name} 应为“{args[name]}”，实际是“{getattr(instance, name)}”")
    for key, wanted in scene.resolve(session, None, args.get("data", {})).items():
        if data.get(key) != wanted:
            raise Unexpected(f"数据 {key} 应为 {_shown(wanted)}，实际是 {_shown(data.get(key))}")
    for key in args.get("present", ()):
        if not data.get(key):
            raise Unexpected(f"数据里没有 {key}")


def _shown(value: Any) -> Any:
    return "空" if value is None else value


def _expect_open(session: Session, scene: Scene, args: Args) -> None:
    holders = {item.assignee_id for _, item in scene.open_items(session, args["step"])}
    for name in each(args["by"]):
        if scene.staff.person(name) not in holders:
            raise Unexpected(f"{args['step']} 应在{CAST[name].name}（{name}）的待办里")


def _expect_closed(session: Session, scene: Scene, args: Args) -> None:
    holders = {item.assignee_id for _, item in scene.open_items(session, args["step"])}
    for name in each(args["by"]):
        if name == EVERYONE and holders:
            raise Unexpected(f"{args['step']} 应没有人要办，还有 {len(holders)} 人")
        if name != EVERYONE and scene.staff.person(name) in holders:
            raise Unexpected(f"{args['step']} 不应在{CAST[name].name}（{name}）的待办里")


def _expect_passed(session: Session, scene: Scene, args: Args) -> None:
    times = scene.path(session).count(args["element"])
    if times != args["times"]:
        raise Unexpected(f"应经过 {args['element']} {args['times']} 次，实际 {times} 次")


def _expect_incident(session: Session, scene: Scene, args: Args) -> None:
    query = select(Incident.id).where(
        Incident.instance_id == scene.instance_id, Incident.step == args["step"], Incident.kind == args["kind"]
    )
    if session.scalar(query) is None:
        raise Unexpected(f"{args['step']} 应有异常 {args['kind']}")


EXPECTS: Mapping[str, Callable[[Session, Scene, Args], None]] = {
    "expect": _expect,
    "expect_open": _expect_open,
    "expect_closed": _expect_closed,
    "expect_passed": _expect_passed,
    "expect_incident": _expect_incident,
}
