"""Algorithms on directed graphs, without recursion: a graph maps each node to its successors."""

from collections.abc import Collection, Iterable, Mapping

Graph = Mapping[str, Collection[str]]


def reachable(graph: Graph, starts: Iterable[str], *, without: str | None = None) -> set[str]:
    """Return the nodes reachable from `starts`, these included; no path goes through `without`."""
    pending = [node for node in starts if node != without]
    seen = set(pending)
    while pending:
        for successor in graph[pending.pop()]:
            if successor not in seen and successor != without:
                seen.add(successor)
                pending.append(successor)
    return seen


def reverse(graph: Graph) -> dict[str, list[str]]:
    """Return the graph with every edge turned round."""
    turned: dict[str, list[str]] = {node: [] for node in graph}
    for node, successors in graph.items():
        for successor in successors:
            turned[successor].append(node)
    return turned


def restrict(graph: Graph, nodes: Collection[str]) -> dict[str, list[str]]:
    """Return the part of the graph between `nodes`."""
    return {node: [s for s in graph[node] if s in nodes] for node in graph if node in nodes}


def cycles(graph: Graph) -> list[list[str]]:
    """Return the strongly connected components that contain a cycle (Tarjan 1972), each in the graph's order."""
    order = {node: position for position, node in enumerate(graph)}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[list[str]] = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        on_path.add(root)
        while work:
            node, successors = work[-1]
            for successor in successors:
                if successor not in index:
                    index[successor] = low[successor] = len(index)
                    path.append(successor)
                    on_path.add(successor)
                    work.append((successor, iter(graph[successor])))
                    break
                if successor in on_path:
                    low[node] = min(low[node], index[successor])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = path[path.index(node) :]
                    del path[len(path) - len(component) :]
                    on_path.difference_update(component)
                    if len(component) > 1 or node in graph[node]:
                        found.append(sorted(component, key=order.__getitem__))
    return sorted(found, key=lambda component: order[component[0]])


def dominators(graph: Graph, root: str) -> dict[str, str]:
    """Return the immediate dominator of each node reachable from `root`, that of `root` itself excepted.

    A dominator lies on every path from `root` (Cooper, Harvey and Kennedy 2001).
    """
    order = _reverse_postorder(graph, root)
    position = {node: number for number, node in enumerate(order)}
    before = reverse(restrict(graph, position))
    immediate = {root: root}
    changed = True
    while changed:
        changed = False
        for node in order[1:]:
            known = [p for p in before[node] if p in immediate]
            candidate = known[0]
            for other in known[1:]:
                while candidate != other:
                    if position[candidate] > position[other]:
                        candidate = immediate[candidate]
                    else:
                        other = immediate[other]
            if immediate.get(node) != candidate:
                immediate[node] = candidate
                changed = True
    del immediate[root]
    return immediate


def _reverse_postorder(graph: Graph, root: str) -> list[str]:
    done: list[str] = []
    seen = {root}
    work = [(root, iter(graph[root]))]
    while work:
        node, successors = work[-1]
        for successor in successors:
            if successor not in seen:
                seen.add(successor)
                work.append((successor, iter(graph[successor])))
                break
        else:
            work.pop()
            done.append(node)
    return done[::-1]
