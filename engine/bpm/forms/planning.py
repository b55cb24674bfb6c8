"""The order in which a form's conditions, lists and expressions are settled: each after what it depends on."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from engine.bpm.forms.schema import Component, Step
from engine.feel import Expression


class Cycle(Exception):
    """Conditions that depend on one another; `names` are the components of the cycle."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self.names = names


def plan(components: Iterable[Component]) -> tuple[Step, ...]:
    """Return the steps of the components of one data object, each after what it depends on; Cycle if there is one."""
    steps: list[Step] = []
    needs: list[set[str]] = []
    setters: dict[str, list[int]] = {}
    ancestors: list[list[int]] = []

    def visit(component: Component, above: list[int]) -> None:
        inner = list(above)
        keys = [each.key for each in component.walk() if each.key]
        if component.hide is not None:
            inner.append(_add("hide", component, above, names(component.hide), keys))
        if isinstance(component.readonly, Expression):
            _add("lock", component, inner, names(component.readonly), [component.key])
        if component.type == "dynamiclist":
            _add("rows", component, inner, outer_names(component), [component.key])
        elif component.type == "expression" and component.expression is not None:
            _add("compute", component, inner, names(component.expression), [component.key])
        if component.type == "group":
            for child in component.children:
                visit(child, inner)

    def _add(kind: str, component: Component, above: list[int], needed: set[str], sets: list[str]) -> int:
        steps.append(Step(kind, component))  # type: ignore[arg-type]
        needs.append(needed)
        ancestors.append(list(above))
        for key in sets:
            setters.setdefault(key, []).append(len(steps) - 1)
        return len(steps) - 1

    for component in components:
        visit(component, [])
    graph: dict[int, list[int]] = {}
    for index in range(len(steps)):
        before = [setter for key in sorted(needs[index]) for setter in setters.get(key, ())]
        graph[index] = [*ancestors[index], *before]
        # The steps of one component stand in order: hidden, then locked, then settled.
        graph[index] += [other for other in range(index) if steps[other].component is steps[index].component]
    try:
        return tuple(steps[index] for index in TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise Cycle(list(dict.fromkeys(steps[index].component.name for index in error.args[1]))) from None


def names(expression: Expression) -> set[str]:
    """Return the names an expression may take from its context."""
    return set(expression.names | expression.possible_names)


def outer_names(component: Component) -> set[str]:
    """Return the names of the form's data that the rows of a dynamic list may use."""
    inner = {key for child in component.children for each in child.walk() if (key := each.key)}
    used: set[str] = set()
    for child in component.children:
        for each in child.walk():
            for expression in settling(each):
                used |= names(expression)
    return used - inner - {"this", "parent", "i"}


def settling(component: Component) -> list[Expression]:
    """Return the expressions of a component that change other values: conditions and computations."""
    found = [component.hide, component.readonly, component.expression if component.type == "expression" else None]
    return [expression for expression in found if isinstance(expression, Expression)]


def dependants(components: Iterable[Component]) -> Mapping[str, set[str]]:
    """Return for each name the ids of the components whose look or rules change with it."""
    found: dict[str, set[str]] = {}
    for component in components:
        used = {name for expression in component.expressions() for name in names(expression)}
        if component.options and component.options.key:
            used.add(component.options.key)
        for name in used:
            found.setdefault(name, set()).add(component.id)
    return found
