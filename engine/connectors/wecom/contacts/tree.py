"""WeCom's departments as ours (部门对应): mapped once, by name; then by WeCom's id, whatever they are called.

WeCom's top level is the hospital itself. What lies deeper than our three levels is part of the third.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from engine.connectors.wecom.client.answers import Department, Member
from engine.org.models import DepartmentKind
from engine.org.staff_writing import MAX_LEVELS, Row, Wanted

Found = tuple[str, str]  # about what, and why with the cure


class Tree:
    """What is wanted of departments; `codes` are ours by WeCom's id, `mapped` those that weren't mapped before."""

    def __init__(self, org: Wanted, stored: Mapping[int, str], departments: Sequence[Department]) -> None:
        self._org, self._stored = org, stored
        self._given = {d.id: d for d in departments}
        self.codes: dict[int, str] = {} if departments else dict(stored)
        self.mapped: dict[int, str] = {}
        self.problems: list[Found] = []
        self.left: list[Found] = []
        self._own: dict[str, int] = {}  # WeCom's ids by code, but for those that are part of another
        self._used = {code for id_, code in stored.items()}
        levels = {d.id: self._level(d) for d in departments}
        for department in sorted(departments, key=lambda d: (levels[d.id], -d.order, d.id)):
            if levels[department.id]:
                self._place(department, levels[department.id])
        self._keep_shallow()

    def _level(self, department: Department) -> int:
        """Return how far below the hospital, which is 0; one whose parent we may not see is on the first level."""
        level, at, seen = 0, department, {department.id}
        while at.parent_id != 0:
            level += 1
            above = self._given.get(at.parent_id)
            if above is None or above.id in seen:
                break
            seen.add(above.id)
            at = above
        return level

    def _place(self, department: Department, level: int) -> None:
        if level > MAX_LEVELS:
            if (code := self.codes.get(department.parent_id)) is not None:
                self.codes[department.id] = code
            return
        code = self._stored.get(department.id) or self._alike(department)
        if code is None:
            return
        self.codes[department.id] = code
        self._own[code] = department.id
        if department.id not in self._stored:
            self.mapped[department.id] = code
            self._used.add(code)
        org = self._org.departments
        org.add([code])
        parent = self.codes.get(department.parent_id)
        above = org.stored.get(parent or "") or org.wanted.get(parent or "")
        stored = org.stored.get(code)
        row: Row = stored or {
            "kind": above["kind"] if above else DepartmentKind.CLINICAL, "head_id": None, "director_id": None,
            "sort": len(self._own) * 10, "disabled_at": None,
        }  # fmt: skip
        name = "".join(filter(str.isprintable, department.name)).strip()[:80]
        org.wanted[code] = {**row, "name": name or row.get("name", code), "parent_id": org.id(parent or "")}
        if row["disabled_at"] is not None:
            self.problems.append(
                (f"部门{row['name']}（{code}）", "已停用，但仍在企业微信里；请在企业微信删除，或启用它")
            )

    def _alike(self, department: Department) -> str | None:
        """Return the code of our department of this name, a new one where there is none, None where it is unclear."""
        org = self._org.departments
        name = "".join(department.name.split())
        parent = org.id(self.codes.get(department.parent_id, ""))
        alike = [
            code
            for code, row in org.stored.items()
            if "".join(row["name"].split()) == name and row["disabled_at"] is None and code not in self._used
        ]
        namesakes = sum("".join(d.name.split()) == name for d in self._given.values())
        if len(alike) > 1 or (alike and namesakes > 1):  # then only the place in the tree tells
            alike, every = [code for code in alike if org.stored[code]["parent_id"] == parent], alike
            if len(alike) != 1 and (alike or namesakes == 1):
                why = f"本院有 {len(every)} 个同名部门，请在通讯录页面的“部门对应”里指定"
                self.problems.append((f"企业微信部门 {department.name}（{department.id}）", why))
                return None
        if alike:
            return alike[0]
        code = f"WX{department.id}"
        if code in self._used or (code in org.stored and org.stored[code]["disabled_at"] is None):
            why = f"编码 {code} 已被占用，请在通讯录页面的“部门对应”里指定"
            self.problems.append((f"企业微信部门 {department.name}（{department.id}）", why))
            return None
        return code

    def _keep_shallow(self) -> None:
        """Leave a department where it is if moving it would make the tree too deep, or a circle."""
        org = self._org.departments
        above = {code: row["parent_id"] for code, row in {**org.stored, **org.wanted}.items()}
        codes = org.codes()
        for code in list(above):
            way, at = [code], above[code]
            while at is not None and len(way) <= MAX_LEVELS:
                way.append(codes[at])
                at = above[codes[at]]
            if len(way) <= MAX_LEVELS:
                continue
            for moved in way:
                stored, wanted = org.stored.get(moved), org.wanted.get(moved)
                if wanted is not None and stored is not None and wanted["parent_id"] != stored["parent_id"]:
                    wanted["parent_id"] = above[moved] = stored["parent_id"]
                    why = f"按企业微信移动后会超过 {MAX_LEVELS} 级，没有移动"
                    self.problems.append((f"部门{wanted['name']}（{moved}）", why))

    def heads(self, matched: Iterable[tuple[str, Member]], *, whole: bool) -> None:
        """Let leaders (部门负责人) be heads: one of several where we have another, the first; ours where there is none.

        Where not everybody was asked for, only a department without a head gets one.
        """
        org, people = self._org.departments, self._org.people
        leaders: dict[str, list[tuple[int, str]]] = {}
        for number, member in matched:
            orders = dict(zip(member.departments, member.orders, strict=False))
            for id_ in member.leads:
                code = self.codes.get(id_)
                if code is not None and (not self._given or self._own.get(code) == id_):
                    leaders.setdefault(code, []).append((-orders.get(id_, 0), number))
        for code, found in leaders.items():
            row = org.wanted.get(code) or org.stored.get(code)
            ids = [people.ids[number] for _, number in sorted(found)]
            if row is not None and row["head_id"] not in ids and (whole or row["head_id"] is None):
                org.wanted[code] = {**row, "head_id": ids[0]}

    def close(self, now: datetime) -> list[int]:
        """Disable what is mapped and no department of WeCom's any more, where nobody stands in it; return WeCom's ids.

        The others are told in `left`.
        """
        org, closed = self._org.departments, []
        gone = {id_: code for id_, code in self._stored.items() if id_ not in self._given}
        if not gone:
            return []
        manned: dict[object, int] = {}
        people = {**self._org.people.stored, **self._org.people.wanted}
        for row in people.values():
            if row["disabled_at"] is None:
                manned[row["department_id"]] = manned.get(row["department_id"], 0) + 1
        departments = {**org.stored, **org.wanted}
        for id_, code in sorted(gone.items(), reverse=True):
            row = departments[code]
            below = any(
                d["parent_id"] == org.ids[code] and d["disabled_at"] is None and other not in gone.values()
                for other, d in departments.items()
            )
            if row["disabled_at"] is None and ((count := manned.get(org.ids[code], 0)) or below):
                what = f"还有 {count} 人" if count else "还有下级部门"
                self.left.append((f"部门{row['name']}（{code}）", f"企业微信里已没有这个部门，{what}；请调整后停用"))
                continue
            org.wanted[code] = {**row, "disabled_at": row["disabled_at"] or now}
            closed.append(id_)
        return closed
