"""Who handles a step (办理人): the rules of a diagram resolved to people, each with the reason they are shown.

A department named by a rule or chosen in a field stands for its people, part-time ones included, and those of the
departments below it. Ids and codes that name nobody are left out: where nobody is left, the step's own rule says what
happens. However many people are found, the statements stay few: the department tree once, one for each rule that looks
for people, one that reads names and leaves out who is disabled.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import and_, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from engine.bpm.extensions import Assign
from engine.org.models import Department, Membership, Person, Role, RoleMember

_WHY_LENGTH = 200  # of the column work_item.why
_CHUNK = 5_000  # ids in one statement; SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class Handler:
    """A person who is to handle a step, and why (为什么是我), e.g. 护士长，因是发起人的直接上级."""

    person_id: uuid.UUID
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class AssignmentContext:
    """What rules refer to: people of the instance, its data, and a FEEL evaluator for expressions without the "=".

    `field_labels` are the names under which the form shows its fields.
    """

    initiator_id: uuid.UUID
    initiator_department_id: uuid.UUID
    previous_id: uuid.UUID | None
    data: Mapping[str, object]
    evaluate: Callable[[str], object]
    field_labels: Mapping[str, str] = field(default_factory=dict)


class _Node(NamedTuple):
    id: uuid.UUID
    code: str
    name: str
    parent_id: uuid.UUID | None
    head_id: uuid.UUID | None
    director_id: uuid.UUID | None


_Candidate = tuple[uuid.UUID | None, str]  # None: the place is vacant; the text follows 因


def resolve(session: Session, rules: Sequence[Assign], context: AssignmentContext) -> list[Handler]:
    """Return the handlers that the rules name together, in their order, nobody twice, disabled people left out.

    The first rule that names a person gives the reason. Within a group people stand by rank (排序), then by name.
    """
    resolver = _Resolver(session, context)
    reasons: dict[uuid.UUID, str] = {}
    for rule in rules:
        for person_id, reason in resolver.candidates(rule):
            if person_id is not None:
                reasons.setdefault(person_id, reason)
    people: dict[uuid.UUID, tuple[str, str]] = {}
    ids = list(reasons)
    for at in range(0, len(ids), _CHUNK):
        query = select(Person.id, Person.name, Person.post).where(
            Person.id.in_(ids[at : at + _CHUNK]), Person.disabled_at.is_(None)
        )
        people.update({id_: (name, post) for id_, name, post in session.execute(query)})
    return [
        Handler(id_, people[id_][0], f"{people[id_][1]}，因{reason}".lstrip("，")[:_WHY_LENGTH])
        for id_, reason in reasons.items()
        if id_ in people
    ]


class _Resolver:
    def __init__(self, session: Session, context: AssignmentContext) -> None:
        self._session, self._context = session, context

    def candidates(self, rule: Assign) -> Iterable[_Candidate]:
        """Resolve one rule, duplicates and disabled people still among the result."""
        context = self._context
        match rule.rule:
            case "person":
                return self._by_staff_number(rule.persons)
            case "role":
                return self._in_role(rule.role or "", rule.of)
            case "post":
                return self._in_post(rule.post or "", rule.department)
            case "department":
                nodes = self._named(rule.department)
                people = self._people_of(nodes)
                return [(id_, f"是{node.name}的成员") for node in nodes for id_ in people[node.id]]
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
                node = self._tree.get(context.initiator_department_id)
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

    @cached_property
    def _tree(self) -> dict[uuid.UUID, _Node]:
        query = select(
            Department.id, Department.code, Department.name, Department.parent_id, Department.head_id,
            Department.director_id,
        ).order_by(Department.sort, Department.code)  # fmt: skip
        return {row.id: _Node(*row) for row in self._session.execute(query)}

    def _path(self, node: _Node | None) -> list[_Node]:
        """Return a department and those above it, the nearest first."""
        path: list[_Node] = []
        while node is not None and node not in path:
            path.append(node)
            node = self._tree.get(node.parent_id) if node.parent_id else None
        return path

    @cached_property
    def _above(self) -> dict[uuid.UUID, set[uuid.UUID]]:
        return {node.id: {above.id for above in self._path(node)} for node in self._tree.values()}

    def _named(self, text: str | None) -> list[_Node]:
        """Return the departments that an attribute names: codes, or an expression (=…) giving ids or codes."""
        if text and text.startswith("="):
            return self._in_tree(self._context.evaluate(text[1:]))
        return self._in_tree((text or "").split())

    def _in_tree(self, value: object) -> list[_Node]:
        codes = {node.code: node for node in self._tree.values()}
        found: list[_Node | None] = []
        for entry in _entries(value):
            id_ = _uuid(entry)
            found.append(self._tree.get(id_) if id_ else codes.get(str(entry)))
        return [node for node in found if node is not None]

    def _by_staff_number(self, numbers: Sequence[str]) -> list[_Candidate]:
        query = select(Person.staff_number, Person.id).where(Person.staff_number.in_(numbers))
        ids = dict(self._session.execute(query).all())
        return [(ids.get(number), "由流程指定") for number in numbers]

    def _in_role(self, role: str, of: str | None) -> Iterator[_Candidate]:
        """Find the members of a role; with `of` those for the department, or for the nearest one above that has any,
        or those for everywhere. Without `of` every member counts.
        """
        query = (
            select(RoleMember.person_id, RoleMember.department_id, Role.name)
            .join(Role, Role.code == RoleMember.role)
            .join(Person, Person.id == RoleMember.person_id)
            .where(RoleMember.role == role, Person.disabled_at.is_(None))
            .order_by(Person.rank, Person.pinyin, Person.id)
        )
        members = self._session.execute(query).all()
        if of is None:
            yield from ((id_, f"担任角色“{name}”") for id_, _, name in members)
            return
        initiator = self._context.initiator_department_id
        for node in self._in_tree(initiator if of == "initiator" else self._context.data.get(of)):
            for place in [*(above.id for above in self._path(node)), None]:
                if fitting := [(id_, name) for id_, department_id, name in members if department_id == place]:
                    yield from ((id_, f"担任{node.name}的角色“{name}”") for id_, name in fitting)
                    break

    def _in_post(self, post: str, department: str | None) -> list[_Candidate]:
        if department is not None:
            nodes = self._named(department)
            people = self._people_of(nodes, post)
            return [(id_, f"是{node.name}的{post}") for node in nodes for id_ in people[node.id]]
        part_time = select(Membership.person_id).where(Membership.post == post)
        query = (
            select(Person.id)
            .where(Person.disabled_at.is_(None), or_(Person.post == post, Person.id.in_(part_time)))
            .order_by(Person.rank, Person.pinyin, Person.id)
        )
        return [(id_, f"岗位是{post}") for id_ in self._session.scalars(query)]

    def _in_field(self, name: str) -> Iterator[_Candidate]:
        label, ids = self._label(name), _ids(self._context.data.get(name))
        people = self._people_of([self._tree[id_] for id_ in ids if id_ in self._tree])
        for id_ in ids:
            if id_ in people:
                yield from ((member, f"是“{label}”中{self._tree[id_].name}的成员") for member in people[id_])
            else:
                yield id_, f"在“{label}”中选定"

    def _people_of(self, nodes: Sequence[_Node], post: str | None = None) -> dict[uuid.UUID, list[uuid.UUID]]:
        """Return the people of each department and of those below it, or those among them with a post."""
        found: dict[uuid.UUID, list[uuid.UUID]] = {node.id: [] for node in nodes}
        places = [id_ for id_, above in self._above.items() if not above.isdisjoint(found)] if found else []
        main = select(Person.id, Person.department_id.label("place"), Person.rank, Person.pinyin).where(
            Person.disabled_at.is_(None), Person.department_id.in_(places)
        )
        part_time = (
            select(Person.id, Membership.department_id, Person.rank, Person.pinyin)
            .join(Membership, Membership.person_id == Person.id)
            .where(Person.disabled_at.is_(None), Membership.department_id.in_(places))
        )
        if post is not None:
            main, part_time = main.where(Person.post == post), part_time.where(Membership.post == post)
        if places:
            rows = self._session.execute(union_all(main, part_time))
            for id_, place, *_ in sorted(rows, key=lambda row: (row[2], row[3], row[0])):
                for above in self._above[place] & found.keys():
                    found[above].append(id_)
        return found

    def _label(self, name: str) -> str:
        return self._context.field_labels.get(name, name)

    def _director(self, node: _Node, of: str) -> _Candidate:
        """Find the director in charge of a department, or of the nearest one above that has one."""
        return next((above.director_id for above in self._path(node) if above.director_id), None), f"是{of}的分管领导"

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
        superior = aliased(Person)
        row = self._session.execute(
            select(Person.department_id, superior.id)
            .outerjoin(superior, and_(superior.id == Person.superior_id, superior.disabled_at.is_(None)))
            .where(Person.id == person_id)
        ).first()
        if row is None:
            return []
        main_id, superior_id = row
        own = self._tree[department_id or main_id]
        path = way = self._path(own)
        for at, node in enumerate(path):
            if node.head_id == person_id:
                way = path[at + 1 :]
        levels: list[_Candidate] = []
        if superior_id is not None and own.id == main_id:
            levels.append((superior_id, f"是{who}的直接上级"))
            headed = [node for node in way if node.head_id == superior_id]
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
