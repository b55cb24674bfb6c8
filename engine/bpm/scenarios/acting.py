"""What people and other systems do in a story: each verb is one command."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from engine import outbox
from engine.bpm.commands.complete import complete
from engine.bpm.commands.ending import terminate, withdraw
from engine.bpm.commands.events import send_message
from engine.bpm.commands.people import circulate, claim, reassign, unclaim
from engine.bpm.commands.reading import acknowledge
from engine.bpm.commands.returning import send_back, take_back
from engine.bpm.commands.talking import comment, copy, urge
from engine.bpm.models import ItemState
from engine.bpm.scenarios.scene import Scene, Unexpected
from engine.bpm.scenarios.stories import EVERYONE
from engine.org.identity import actor_for

Args = Mapping[str, Any]


def _complete(session: Session, scene: Scene, args: Args) -> None:
    actor = scene.actor(session, args["by"])
    data = scene.resolve(session, actor, args.get("data", {}))
    complete(session, actor, scene.item(session, args), args["outcome"], opinion=args.get("opinion", ""), data=data)


def _read(session: Session, scene: Scene, args: Args) -> None:
    if args["by"] == EVERYONE:
        items = scene.open_items(session, args["step"])
        readers = [(item.id, actor_for(session, item.assignee_id)) for _, item in items]
        if not readers:
            raise Unexpected(f"{args['step']} 没有待阅的人")
    else:
        readers = [(scene.item(session, args), scene.actor(session, args["by"]))]
    for item_id, actor in readers:
        acknowledge(session, actor, item_id, opinion=args.get("opinion", ""))


def _claim(session: Session, scene: Scene, args: Args) -> None:
    claim(session, scene.actor(session, args["by"]), scene.item(session, args))


def _unclaim(session: Session, scene: Scene, args: Args) -> None:
    unclaim(session, scene.actor(session, args["by"]), scene.item(session, args))


def _return(session: Session, scene: Scene, args: Args) -> None:
    actor, item = scene.actor(session, args["by"]), scene.item(session, args)
    send_back(session, actor, item, to=args["to"], mode=args["mode"], opinion=args["opinion"])


def _take_back(session: Session, scene: Scene, args: Args) -> None:
    take_back(session, scene.actor(session, args["by"]), scene.item(session, args, ItemState.DONE))


def _reassign(session: Session, scene: Scene, args: Args) -> None:
    actor, item = scene.actor(session, args["by"]), scene.item(session, args)
    reassign(session, actor, item, to=scene.staff.person(args["to"]), reason=args["reason"])


def _circulate(session: Session, scene: Scene, args: Args) -> None:
    actor, item = scene.actor(session, args["by"]), scene.item(session, args)
    circulate(session, actor, item, to=scene.people(args["to"]), reason=args.get("reason", ""))


def _withdraw(session: Session, scene: Scene, args: Args) -> None:
    withdraw(session, scene.actor(session, args["by"]), scene.instance_id, reason=args["reason"])


def _terminate(session: Session, scene: Scene, args: Args) -> None:
    terminate(session, scene.actor(session, args["by"]), scene.instance_id, reason=args["reason"])


def _urge(session: Session, scene: Scene, args: Args) -> None:
    urge(session, scene.actor(session, args["by"]), scene.instance_id, text=args.get("text", ""))


def _comment(session: Session, scene: Scene, args: Args) -> None:
    comment(session, scene.actor(session, args["by"]), scene.instance_id, text=args["text"])


def _copy(session: Session, scene: Scene, args: Args) -> None:
    actor, people = scene.actor(session, args["by"]), scene.people(args["to"])
    copy(session, actor, scene.instance_id, to=people, reason=args.get("reason", ""))


def _message(session: Session, scene: Scene, args: Args) -> None:
    correlation = str(scene.resolve(session, None, args["correlation"]))
    send_message(session, args["name"], correlation=correlation, payload=args.get("data"), key=uuid.uuid4().hex)


def _signal(session: Session, scene: Scene, args: Args) -> None:
    event = {"kind": "signal", "name": args["name"], "correlation": "", "payload": args.get("data", {})}
    outbox.enqueue(session, "event", f"signal:{args['name']}", "thrown", event)


ACTS: Mapping[str, Callable[[Session, Scene, Args], None]] = {
    "complete": _complete,
    "read": _read,
    "claim": _claim,
    "unclaim": _unclaim,
    "return": _return,
    "take_back": _take_back,
    "reassign": _reassign,
    "circulate": _circulate,
    "withdraw": _withdraw,
    "terminate": _terminate,
    "urge": _urge,
    "comment": _comment,
    "copy": _copy,
    "message": _message,
    "signal": _signal,
}
