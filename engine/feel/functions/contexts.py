"""Functions of contexts (DMN 1.5, 10.3.4.10)."""

from engine.feel.functions.registry import Registry
from engine.feel.limits import MAX_DEPTH, Run, too_deep
from engine.feel.values import Value

BUILTINS = Registry()


@BUILTINS("get value(m: context, key: string)")
def get_value(context: dict[str, Value], key: str) -> Value:
    """Return the value of a key."""
    return context.get(key)


@BUILTINS("get value(context: context, keys: list)")
def get_value_at(context: dict[str, Value], keys: list[Value]) -> Value:
    """Return the value at a path of keys."""
    value: Value = context
    for key in keys:
        value = value.get(key) if type(value) is dict and type(key) is str else None
    return value


@BUILTINS("get entries(m: context)", takes_run=True)
def get_entries(run: Run, context: dict[str, Value]) -> list[Value]:
    """Return the entries as contexts of `key` and `value`."""
    run.size(len(context))
    return [{"key": key, "value": value} for key, value in context.items()]


@BUILTINS("context(entries: list)")
def context_of(entries: list[Value]) -> dict[str, Value] | None:
    """Return a context of entries such as `get entries` makes; null when a key is missing or twice."""
    result: dict[str, Value] = {}
    for entry in entries:
        if type(entry) is not dict or "value" not in entry or type(entry.get("key")) is not str:
            return None
        if entry["key"] in result:
            return None
        result[entry["key"]] = entry["value"]
    return result


@BUILTINS("context put(context: context, key: string, value: any)", takes_run=True)
def context_put(run: Run, context: dict[str, Value], key: str, value: Value) -> dict[str, Value]:
    """Return a context with one entry added or replaced."""
    run.size(len(context) + 1)
    return {**context, key: value}


@BUILTINS("context put(context: context, keys: list, value: any)", takes_run=True)
def context_put_at(run: Run, context: dict[str, Value], keys: list[Value], value: Value) -> dict[str, Value] | None:
    """Return a context with the entry at a path of keys added or replaced."""
    if not keys or not all(type(key) is str for key in keys):
        return None
    if len(keys) > MAX_DEPTH:
        raise too_deep()
    run.size(len(context) + 1)
    if len(keys) == 1:
        return {**context, keys[0]: value}
    inner = context.get(keys[0])
    if inner is not None and type(inner) is not dict:
        return None
    changed = context_put_at(run, inner or {}, keys[1:], value)
    return None if changed is None else {**context, keys[0]: changed}


@BUILTINS("context merge(contexts: list)", takes_run=True)
def context_merge(run: Run, contexts: list[Value]) -> dict[str, Value] | None:
    """Return the entries of several contexts; the later ones win."""
    result: dict[str, Value] = {}
    for context in contexts:
        if type(context) is not dict:
            return None
        run.size(len(context))
        result.update(context)
    return result
