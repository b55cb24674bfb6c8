"""How Landray names people: a JSON object such as {"LoginName": "10027"}, or a list of them."""

import json
from collections.abc import Iterator, Mapping

from sandbox.oa.records import Person

_KEYS = {"LoginName", "PersonNo", "Id", "DeptNo", "PostNo", "OrgNo", "GroupNo", "Keyword", "LdapDN"}


class Broken(Exception):
    """The declared fault `Exception`: the service could not make sense of a value."""


def people(known: Mapping[str, Person], targets: str) -> list[Person]:
    """Return the people who are named, without those that nobody is. Raises Broken where it isn't JSON."""
    found = dict[str, Person]()
    for name, value in _named(targets):
        for person in _meant(known, name, value):
            found[person.number] = person
    return list(found.values())


def first(known: Mapping[str, Person], targets: str) -> Person | None:
    """Return the first who is named and known. Raises Broken."""
    return next(iter(people(known, targets)), None)


def first_value(targets: str) -> str:
    """Return the first value, empty where there is none."""
    try:
        return next((value for _, value in _named(targets)), "")
    except Broken:
        return ""


def _meant(known: Mapping[str, Person], name: str, value: str) -> Iterator[Person]:
    if name in ("LoginName", "PersonNo"):
        if value in known:
            yield known[value]
    elif name in ("Id", "DeptNo"):
        yield from (p for p in known.values() if value == (p.id if name == "Id" else p.department))


def _named(targets: str) -> Iterator[tuple[str, str]]:
    if not targets:
        return
    try:
        given = json.loads(targets)
    except (ValueError, RecursionError):
        raise Broken("A JSONObject text must begin with '{' at character 1") from None
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, dict):
            raise Broken("targets: not a JSONObject")
        for name, value in one.items():
            if name not in _KEYS:
                raise Broken(f"targets: unknown key {name[:20]}")
            yield name, str(value)
