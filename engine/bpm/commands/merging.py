"""Merging the same person (同一人合并): whoever has agreed before is not asked again."""

import uuid
from collections import Counter
from typing import Any

from engine.bpm.commands.case import Case
from engine.bpm.extensions import TaskExtension
from engine.bpm.models import ItemState


def spared(
    case: Case, task: TaskExtension, step: str, items: list[dict[str, Any]], sender: uuid.UUID | None
) -> list[tuple[dict[str, Any], str]]:
    """Mark as done the items of a new round whose handlers have agreed before; return each with the reason.

    Agreed means: the first outcome of this step, given to a step that decides, anywhere before or (`previous`) just
    before, by this very command of the `sender`; what was taken back doesn't count, nor what was agreed before a
    return or an admin's jump. A step that is walked again after one asks everybody: whoever is asked there again is
    asked on purpose.
    """
    if task.merge == "never" or task.kind != "decide" or case.returned or not items:
        return []
    just_now = sender if case.approving else None
    if task.merge == "previous" and all(i["assignee_id"] != just_now for i in items):
        return []
    agreed: set[uuid.UUID] = set()
    taken_back: Counter[tuple[str | None, uuid.UUID]] = Counter()
    returned = False
    for action in case.decisions():
        returned = returned or action.verb in ("return", "jump")
        if returned and action.step == step:
            return []
        act = (action.step, action.actor_id)
        if action.verb == "take_back":
            taken_back[act] += 1
        elif action.verb == "complete" and taken_back[act]:
            taken_back[act] -= 1
            continue
        consent = action.verb == "complete" and action.outcome == task.outcomes[0].id
        if consent and not returned and _decides(case, action.step):
            agreed.add(action.actor_id)
    found = []
    for item in items:
        person = item["assignee_id"]
        if person == just_now or (task.merge == "anywhere" and person in agreed):
            name = case.directory.people[person].name
            why = f"{name}在{'上一步' if person == just_now else '前面的步骤'}已同意，自动通过"
            item |= {"state": ItemState.DONE, "outcome": task.outcomes[0].id, "closed_at": case.now}
            found.append((item, why))
    if found and not any(i["state"] == ItemState.OPEN for i in items):  # in turn: the first of the others opens
        for item in items:
            if item["state"] == ItemState.QUEUED:
                item["state"] = ItemState.OPEN
                break
    return found


def _decides(case: Case, step: str | None) -> bool:
    task = case.definition.tasks.get(step or "")
    return task is not None and task.kind == "decide"
