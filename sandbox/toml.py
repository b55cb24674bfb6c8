"""Writing a TOML file (https://toml.io/en/v1.0.0): Python reads them only."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def written(content: Mapping[str, Any]) -> str:
    """Return a file with texts, numbers, truths, lists and tables; plain values come before the tables below them."""
    return "\n".join(_table(content, ())).strip() + "\n"


def _table(content: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {name: value for name, value in content.items() if not _tables(value)}
    yield from (f"{_key(name)} = {_value(value)}" for name, value in plain.items())
    for name, value in content.items():
        if name in plain:
            continue
        below = (*path, name)
        heading = ".".join(map(_key, below))
        for one in value if isinstance(value, list) else [value]:
            yield f"\n[[{heading}]]" if isinstance(value, list) else f"\n[{heading}]"
            yield from _table(one, below)


def _tables(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _value(name)


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # what JSON writes TOML reads, but for U+007F, which JSON leaves as it is
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
