"""Graph algorithms against definitions that are slower and plainer."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from engine.bpm.lint import graph

NODES = "abcdefgh"
graphs = st.fixed_dictionaries({n: st.lists(st.sampled_from(NODES), unique=True, max_size=3) for n in NODES})
Graph = Mapping[str, list[str]]


def paths_reach(edges: Graph, start: str) -> set[str]:
    """What one or more steps reach."""
    reached: set[str] = set()
    while True:
        more = {t for s in reached | {start} for t in edges[s]} | reached
        if more == reached:
            return reached
        reached = more


@given(graphs, st.sampled_from(NODES))
def test_reachable_is_the_closure_of_steps(edges: Graph, start: str) -> None:
    assert graph.reachable(edges, [start]) == paths_reach(edges, start) | {start}


@given(graphs, st.sampled_from(NODES), st.sampled_from(NODES))
def test_reachable_without_a_node_is_reachable_in_the_graph_less_it(edges: Graph, start: str, gone: str) -> None:
    less = {n: [t for t in targets if t != gone] for n, targets in edges.items() if n != gone}
    expected = set() if start == gone else paths_reach(less, start) | {start}
    assert graph.reachable(edges, [start], without=gone) == expected


@given(graphs)
def test_reverse_turns_every_edge(edges: Graph) -> None:
    turned = graph.reverse(edges)
    assert {(s, t) for s in edges for t in edges[s]} == {(s, t) for t in turned for s in turned[t]}


@given(graphs)
def test_cycles_are_the_nodes_that_reach_each_other(edges: Graph) -> None:
    reach = {n: paths_reach(edges, n) for n in NODES}
    expected = {frozenset(m for m in NODES if m in reach[n] and n in reach[m]) for n in NODES} - {frozenset()}
    found = graph.cycles(edges)
    assert {frozenset(c) for c in found} == expected
    assert len(found) == len(expected)


@given(graphs, st.sampled_from(NODES))
def test_a_dominator_cuts_its_node_off(edges: Graph, root: str) -> None:
    immediate = graph.dominators(edges, root)
    reached = graph.reachable(edges, [root])
    assert set(immediate) == reached - {root}
    for node in immediate:
        chain = {node}
        current = node
        while current != root:
            current = immediate[current]
            chain.add(current)
        cutting = {n for n in reached if node not in graph.reachable(edges, [root], without=n)}
        assert chain == cutting


def test_long_chains_need_no_recursion() -> None:
    size = 50_000
    chain = {str(n): [str(n + 1)] if n < size else ["0"] for n in range(size + 1)}
    assert len(graph.reachable(chain, ["0"])) == size + 1
    assert len(graph.cycles(chain)[0]) == size + 1
    assert len(graph.dominators(chain, "0")) == size
