"""Who handles a step (办理人): the rules of a diagram resolved to people, each with the reason they are shown.

A department named by a rule or chosen in a field stands for its people, part-time ones included, and those of the
departments below it. Ids and codes that name nobody are left out: where nobody is left, the step's own rule says what
happens. The organisation comes as a snapshot (engine.org.directory), so no statement is sent here.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.bpm.extensions import Assign
from engine.bpm.forms import Form
from engine.org.directory import DepartmentEntry, Directory

_WHY_LENGTH = 200  # of the column work_item.why


@dataclass(frozen=True, slots=True)
class Handler:
    """A person who is to handle a step, and why (为什么是我), e.g. 护士长，因是发起人的直接上级."""

    person_id: uuid.UUID
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class AssignmentContext:
    """What rules refer to: people of the instance, its data, and a FEEL evaluator for expressions without the "=".

    `field_labels` name the fields of rules in the reasons, see `labels`; who discards the reasons leaves them out.
    """

    initiator_id: uuid.UUID
    initiator_department_id: uuid.UUID
    previous_id: uuid.UUID | None
    data: Mapping[str, object]
    evaluate: Callable[[str], object]
    field_labels: Mapping[str, str] = field(default_factory=dict)


def labels(forms: Iterable[Form]) -> dict[str, str]:
    """Return the names under which forms show their fields, by key; the first form that has a field names it."""
    found: dict[str, str] = {}
    for form in forms:
        for key, component in form.by_key.items():
            found.setdefault(key, component.name)
    return found


_Candidate = tuple[uuid.UUID | None, str]  # None: the place is vacant; the text follows 因


def resolve(directory: Directory, rules: Sequence[Assign], context: AssignmentContext) -> list[Handler]:
    """Return the handlers that the rules name together, in their order, nobody twice, disabled people left out.

    The first rule that names a person gives the reason. Within a group people stand by rank (排序), then by name.
    """
    resolver = _Resolver(directory, context)
    reasons: dict[uuid.UUID, str] = {}
    for rule in rules:
        for person_id, reason in resolver.candidates(rule):
            if person_id is not None:
                reasons.setdefault(person_id, reason)
    found = ((directory.people.get(person_id), reason) for person_id, reason in reasons.items())
    return [
        Handler(person.id, person.name, f"{person.post}，因{reason}".lstrip("，")[:_WHY_LENGTH])
        for person, reason in found
        if person is not None and not person.disabled
    ]


class _Resolver:
    def __init__(self, directory: Directory, context: AssignmentContext) -> None:
        self._directory, self._context = directory, context

    def candidates(self, rule: Assign) -> Iterable[_Candidate]:
        """Resolve one rule, duplicates and disabled people still among the result."""
        context = self._context
        match rule.rule:
            case "person":
                people = map(self._directory.by_number.get, rule.persons)
                return [(person.id, "由流程指定") for person in people if person]
            case "role":
                return self._in_role(rule.role or "", rule.of)
            case "post":
                return self._in_post(rule.post or "", rule.department)
            case "department":
                return self._members(self._named(rule.department))
            case "head":
                return [(node.head_id, f"是{node.name}的负责人") for node in self._named(rule.department)]
            case "director":
                return [self._director(node, node.name) for node in self._named(rule.department)]
            case "initiator":
                return [(context.initiator_id, "是发起人")]
            case "initiator_head":
                return self._initiator_heads()[rule.level - 1 : rule.level]
            case "initiator_heads":
                return self._initiator_heads()[: rule.level]
            case "initiator_director":
                node = self._directory.departments.get(context.initiator_department_id)
                return [self._director(node, f"发起人所在科室{node.name}")] if node else []
            case "previous":
                return [(context.previous_id, "是上一办理人")]
            case "previous_head":
                return self._previous_heads()[rule.level - 1 : rule.level]
            case "field":
                return self._in_field(rule.field or "")
            case "field_head":
                label, nodes = self._label(rule.field or ""), self._in_tree(context.data.get(rule.field or ""))
                return [(node.head_id, f"是“{label}”中{node.name}的负责人") for node in nodes]
            case "expression":
                value = context.evaluate((rule.value or "").removeprefix("="))
                return [(id_, "由流程按条件选定") for id_ in _ids(value)]
            case unknown:
                raise ValueError(f"unknown assignment rule {unknown}")

    def _named(self, text: str | None) -> list[DepartmentEntry]:
        """Return the departments that an attribute names: codes, or an expression (=…) giving ids or codes."""
        if text and text.startswith("="):
            return self._in_tree(self._context.evaluate(text[1:]))
        return self._in_tree((text or "").split())

    def _in_tree(self, value: object) -> list[DepartmentEntry]:
        departments, codes = self._directory.departments, self._directory.by_code
        found = [departments.get(id_) if (id_ := _uuid(entry)) else codes.get(str(entry)) for entry in _entries(value)]
        return [node for node in found if node is not None]

    def _members(self, nodes: Iterable[DepartmentEntry]) -> list[_Candidate]:
        members = self._directory.members
        return [(place.person.id, f"是{node.name}的成员") for node in nodes for place in members[node.id]]

    def _in_role(self, role: str, of: str | None) -> Iterator[_Candidate]:
        """Find the members of a role; with `of` those for the department, or for the nearest one above that has any,
        or those for everywhere. Without `of` every member counts.
        """
        holders, name = self._directory.role_holders.get(role, ()), self._directory.roles.get(role)
        if of is None:
            yield from ((holder.person.id, f"担任角色“{name}”") for holder in holders)
            return
        initiator = self._context.initiator_department_id
        for node in self._in_tree(initiator if of == "initiator" else self._context.data.get(of)):
            for place in [*(above.id for above in self._directory.paths[node.id]), None]:
                if fitting := [holder.person.id for holder in holders if holder.department_id == place]:
                    yield from ((id_, f"担任{node.name}的角色“{name}”") for id_ in fitting)
                    break

    def _in_post(self, post: str, department: str | None) -> list[_Candidate]:
        if department is None:
            return [(person.id, f"岗位是{post}") for person in self._directory.holders.get(post, ())]
        return [
            (place.person.id, f"是{node.name}的{post}")
            for node in self._named(department)
            for place in self._directory.members[node.id]
            if place.post == post
        ]

    def _in_field(self, name: str) -> Iterator[_Candidate]:
        label = self._label(name)
        for id_ in _ids(self._context.data.get(name)):
            if node := self._directory.departments.get(id_):
                yield from (
                    (place.person.id, f"是“{label}”中{node.name}的成员") for place in self._directory.members[id_]
                )
            else:
                yield id_, f"在“{label}”中选定"

    def _label(self, name: str) -> str:
        return self._context.field_labels.get(name, name)

    def _director(self, node: DepartmentEntry, of: str) -> _Candidate:
        """Find the director in charge of a department, or of the nearest one above that has one."""
        directors = (above.director_id for above in self._directory.paths[node.id])
        return next(filter(None, directors), None), f"是{of}的分管领导"

    def _initiator_heads(self) -> list[_Candidate]:
        return self._heads(self._context.initiator_id, self._context.initiator_department_id, "发起人")

    def _previous_heads(self) -> list[_Candidate]:
        return self._heads(self._context.previous_id, None, "上一办理人") if self._context.previous_id else []

    def _heads(self, person_id: uuid.UUID, department_id: uuid.UUID | None, who: str) -> list[_Candidate]:
        """Return the heads above a person, level by level, seen from a department (the main one by default).

        1. The direct superior (直接上级) where one is set, active, and the department is the main one. A superior who
           heads a department on the way takes the place of the heads before it.
        2. The heads of the department and of those above it. For who heads one of these departments the way begins
           above it: one's own people don't decide for one.
        3. The director in charge (分管领导) of the department.
        Nobody stands twice, nor for themselves. A department without a head keeps its level: nobody is found there,
        rather than the matter passing to the next level unnoticed; the same with a disabled head.
        """
        person = self._directory.people.get(person_id)
        if person is None:
            return []
        superior = self._directory.people.get(person.superior_id) if person.superior_id else None
        own = self._directory.departments[department_id or person.department_id]
        path = way = self._directory.paths[own.id]
        for at, node in enumerate(path):
            if node.head_id == person_id:
                way = path[at + 1 :]
        levels: list[_Candidate] = []
        if superior is not None and not superior.disabled and own.id == person.department_id:
            levels.append((superior.id, f"是{who}的直接上级"))
            headed = [node for node in way if node.head_id == superior.id]
            way = way[way.index(headed[0]) :] if headed else way
        levels += [(node.head_id, f"是{who}{'所在' if node is own else '上级'}科室{node.name}的负责人") for node in way]
        levels.append(self._director(own, f"{who}所在科室{own.name}"))
        seen: set[uuid.UUID | None] = {person_id}
        kept: list[_Candidate] = []
        for level in levels:
            if level[0] not in seen:
                kept.append(level)
                seen |= {level[0]} - {None}
        return kept


def _entries(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _entries(entry)
    elif value is not None:
        yield value


def _ids(value: object) -> list[uuid.UUID]:
    return [id_ for entry in _entries(value) if (id_ := _uuid(entry))]


def _uuid(entry: object) -> uuid.UUID | None:
    if isinstance(entry, uuid.UUID):
        return entry
    try:
        return uuid.UUID(entry) if isinstance(entry, str) else None
    except ValueError:
        return None
