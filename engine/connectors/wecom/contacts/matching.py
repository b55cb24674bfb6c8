"""Who is who (成员与职工的对应): members of WeCom as people of ours, and what is wanted of them.

Members become people by their account, else by a staff number (工号) that equals their userid, else by their mobile
number; a number that bears another name is nobody's to guess: an administrator decides (`Problem`). Who vanished is
disabled, never deleted, and only where an account tells that they came from WeCom; who holds a system role is not.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from engine.connectors.wecom.client.answers import Member
from engine.connectors.wecom.contacts.difference import LEFT, Link, Plan, Problem, Snapshot, Stored
from engine.connectors.wecom.contacts.tree import Tree
from engine.org.staff_writing import Row

_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,20}")
_MOBILE = re.compile(r"\+?[0-9]{5,18}")


def compare(stored: Stored, snapshot: Snapshot, now: datetime, *, matching: bool = True) -> Plan:
    """Return what is to be done so that we say what WeCom says; `stored.org` gets the wanted rows.

    Without `matching` nobody is recognised but by their account: the others prove themselves who they are.
    """
    return _Comparison(stored, snapshot, now, matching=matching).plan()


class _Comparison:
    def __init__(self, stored: Stored, snapshot: Snapshot, now: datetime, *, matching: bool) -> None:
        self._stored, self._snapshot, self._now, self._matching = stored, snapshot, now, matching
        self._people = stored.org.people
        self._plan = Plan(stored.org, now, live=sum(a.vanished_at is None for a in stored.accounts.values()))
        self._taken: dict[str, str] = {}  # userids by number
        self._accounts = {account.number: key for key, account in stored.accounts.items()}
        self._numbers: dict[str, str] = {}
        self._mobiles: dict[str, list[str]] = {}
        for number, row in self._people.stored.items():
            self._numbers.setdefault(number.lower(), number)
            if row["mobile"] and row["disabled_at"] is None and number not in stored.org.systems:
                self._mobiles.setdefault(_mobile(row["mobile"]), []).append(number)

    def plan(self) -> Plan:
        plan, snapshot = self._plan, self._snapshot
        tree = Tree(self._stored.org, self._stored.departments, snapshot.departments)
        plan.departments, plan.problems = tree.mapped, [Problem(*found) for found in tree.problems]
        matched: list[tuple[str, Member]] = []
        # whoever is known comes first: a number that is theirs is nobody else's
        known = self._stored.accounts.keys() | snapshot.renamed.values()
        for member in sorted(snapshot.members, key=lambda m: (m.userid.lower() not in known, m.userid.lower())):
            number = None if member.status in LEFT else self._match(member)
            if number is not None and self._person(number, member, tree):
                matched.append((number, member))
        self._vanish()
        tree.heads(matched, whole=snapshot.there is not None)
        if snapshot.departments:
            plan.unmapped = tree.close(self._now)
            plan.problems += [Problem(*found) for found in tree.left]
        if snapshot.there is not None:
            seen = {m.userid.lower() for m in snapshot.members}
            plan.unseen = len(snapshot.there - seen)
        return plan

    # -- who is who ---------------------------------------------------------------------------------------------------

    def _match(self, member: Member) -> str | None:
        """Return the staff number of a member, a new one where nobody is meant; None where it is unclear."""
        key, known = member.userid.lower(), self._stored.accounts
        before = next((old for old, new in self._snapshot.renamed.items() if new.lower() == key and old in known), key)
        if before in known:
            account = known[before]
            if account.vanished_at is not None and not self._same_name(account.number, member):
                self._unclear(member, f"这个账号原来是{self._named(account.number)}的，现在换了姓名")
                return None
            return self._take(account.number, member)
        if not self._matching:
            return None
        number = member.userid if member.userid in self._people.stored else self._numbers.get(key)
        found = [number] if number is not None else self._mobiles.get(_mobile(member.mobile), [])
        if len(found) > 1:
            self._unclear(member, f"手机号对应 {len(found)} 位职工")
            return None
        if found and number is None and member.name in ("", member.userid):
            self._unclear(member, f"手机号是职工{self._named(found[0])}的，但企业微信没有给出姓名")
            return None
        if not found:
            if not _NUMBER.fullmatch(member.userid):
                self._unclear(member, "没有对应的职工，账号也不能作工号（限 20 个字母、数字、- 和 _）")
                return None
            return self._take(member.userid, member)
        return self._join(found[0], member)

    def _join(self, number: str, member: Member) -> str | None:
        """Return the number of a person who is to get this account, None where that isn't certain."""
        if number in self._stored.org.systems:
            self._unclear(member, f"“{number}”是系统账号，不是职工")
            return None
        if self._people.stored[number]["disabled_at"] is not None and number not in self._accounts:
            self._unclear(member, f"职工{self._named(number)}已停用，没有关联")
            return None
        if not self._same_name(number, member):
            self._unclear(member, f"与职工{self._named(number)}工号或手机相同，姓名不同")
            return None
        if (old := self._accounts.get(number)) is not None:
            account = self._stored.accounts[old]
            if account.vanished_at is None and self._snapshot.present(old):
                self._unclear(member, f"职工{self._named(number)}已关联账号 {account.userid}")
                return None
        return self._take(number, member)

    def _take(self, number: str, member: Member) -> str | None:
        if number in self._taken:
            self._unclear(member, f"与账号 {self._taken[number]} 对应同一位职工{self._named(number)}")
            return None
        self._taken[number] = member.userid
        old = self._accounts.get(number)
        name = self._name(member, number)
        if old is None:
            self._plan.links.append(Link("link", member.userid, number, name))
        else:
            account = self._stored.accounts[old]
            if account.userid != member.userid:
                self._plan.links.append(Link("rename", member.userid, number, name, account.userid))
            if account.vanished_at is not None:
                self._plan.links.append(Link("back", member.userid, number, name))
        return number

    def _unclear(self, member: Member, why: str) -> None:
        name = "" if member.name in ("", member.userid) else f"{member.name} "
        self._plan.problems.append(Problem(f"成员 {name}{member.userid}", f"{why}；请核对后用 piyue staff wecom 指定"))

    def _same_name(self, number: str, member: Member) -> bool:
        return member.name in ("", member.userid) or _plain(member.name) == _plain(self._people.stored[number]["name"])

    def _named(self, number: str) -> str:
        row = self._people.stored.get(number) or self._people.wanted.get(number)
        return f"{row['name'] if row else ''}（{number}）"

    def _name(self, member: Member, number: str) -> str:
        """Return a member's name; where the application isn't told it, ours."""
        name = _plain(member.name)[:40]
        if not name or name == member.userid:
            stored = self._people.stored.get(number)
            return str(stored["name"]) if stored else name or member.userid
        return name

    # -- what becomes of whom -----------------------------------------------------------------------------------------

    def _person(self, number: str, member: Member, tree: Tree) -> bool:
        """Say what is wanted of a person; False where a new one can't be: then the account isn't linked either."""
        org, stored, name = self._stored.org, self._people.stored.get(number), self._name(member, number)
        codes = list(dict.fromkeys(filter(None, map(tree.codes.get, _departments(member)))))
        if stored is None and not codes:
            self._plan.links = [link for link in self._plan.links if link.number != number]
            self._unclear(member, "没有对应的职工，也不在任何科室里，不能新建")
            return False
        row: Row = {
            "superior_id": None, "rank": 100, "post": "", "disabled_at": None, "pinyin": "", "name": "",
            "mobile": _mobile(member.mobile), "email": _email(member.email),
        } | (stored or {})  # fmt: skip
        if name != row["name"]:
            row |= {"name": name, "pinyin": org.keys(number, name)}
        if codes:
            row["department_id"] = org.departments.ids[codes[0]]
        row["post"] = _plain(member.position)[:40] or row["post"]
        if row["disabled_at"] is not None:
            self._disabled(number, row)
        self._people.add([number])
        self._people.wanted[number] = row
        if codes:
            before = org.stored_places.get(number, {})
            places = {code: before.get(code, "") for code in codes[1:]}
            # a place with a post of its own (兼职岗位) is the hospital's: WeCom knows none
            places |= {code: post for code, post in before.items() if post and code != codes[0]}
            org.places[number] = places
        return True

    def _disabled(self, number: str, row: Row) -> None:
        """A disabled person is a member: we disabled them, or the hospital did."""
        account = self._stored.accounts.get(self._accounts.get(number, ""))
        if account is not None and account.vanished_at == row["disabled_at"]:  # one moment: it was one act
            row["disabled_at"] = None
        else:
            self._plan.problems.append(
                Problem(f"职工{self._named(number)}", "已停用，但仍是企业微信成员；请在企业微信删除，或在人员表里启用")
            )

    def _vanish(self) -> None:
        for key, account in sorted(self._stored.accounts.items()):
            if account.number in self._taken or self._snapshot.present(key):
                continue
            stored = self._people.stored[account.number]
            if account.vanished_at is not None:
                if stored["disabled_at"] is None and self._snapshot.there is not None:
                    why = "已不在企业微信，仍是在职；离职的请在人员表里停用"
                    self._plan.problems.append(Problem(f"职工{self._named(account.number)}", why))
                continue
            self._plan.links.append(Link("vanish", account.userid, account.number, stored["name"]))
            if account.number in self._stored.officers and stored["disabled_at"] is None:
                why = "已不在企业微信，但持有系统角色，没有自动停用；确已离职的请收回角色并在人员表里停用"
                self._plan.problems.append(Problem(f"职工{self._named(account.number)}", why))
                continue
            self._people.wanted[account.number] = {**stored, "disabled_at": stored["disabled_at"] or self._now}


def _departments(member: Member) -> Iterator[int]:
    if member.main_department:
        yield member.main_department
    yield from member.departments


def _plain(text: str) -> str:
    """Return a text without what doesn't print; a Chinese one without the spaces that align names (张 三)."""
    plain = "".join(filter(str.isprintable, text)).strip()
    return plain if plain.isascii() else "".join(plain.split())


def _mobile(text: str) -> str:
    plain = re.sub(r"[ -]", "", text).removeprefix("+86")
    return plain if _MOBILE.fullmatch(plain) else ""


def _email(text: str) -> str:
    return text if len(text) <= 120 and re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+", text) else ""
