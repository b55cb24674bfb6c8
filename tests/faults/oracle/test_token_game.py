"""The token game itself, on small processes whose traces follow from BPMN 2.0.2 by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.oracle.blocks import (
    Block,
    Boundary,
    Branch,
    Choice,
    Fork,
    Loop,
    Pause,
    Race,
    Stop,
    Sub,
    Task,
    compile_process,
)
from tests.faults.oracle.conditions import Compare
from tests.faults.oracle.game import Game, Move
from tests.faults.oracle.net import Kind, Many, Scope, Wait
from tests.faults.oracle.unstructured import EITHER_FLOW, SURPLUS, TWICE

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = Wait(1)
REJECTED = Compare("outcome", "=", "reject")
BIG = Compare("amount", ">", 5)
URGENT = Compare("urgent", "=", True)


class Trace:
    """A game by names: `trace("T1")` completes T1, `trace("T1!")` rejects it, `trace("B1@")` fires a timer."""

    def __init__(self, *body: Block, net: Scope | None = None, **data: Any) -> None:
        self.game = Game(net or compile_process(body), data, NOW)

    def __call__(self, moves: str, which: int = 0, **data: Any) -> str:
        """Make moves, those of several open under one name by `which`; return what is open then."""
        for name in moves.split():
            if name.endswith("@"):
                move = Move("timer", name[:-1])
            elif name.startswith("J"):
                move = Move("job", name)
            else:
                move = Move("task", name.rstrip("!"), "reject" if name.endswith("!") else "approve", data)
            handles = self.game.handles(move)
            assert handles, f"{name} is not open: {self}"
            self.game = self.game.apply(move, handles[which], NOW)
        return str(self)

    def __str__(self) -> str:
        """Name everything open, sorted, a repeated thing once for each time; `end` when the process has ended."""
        view = self.game.view()
        names = [name for name, count in view.tasks + view.jobs for _ in range(count)]
        names += [f"{name}@" for name, _, count in view.timers for _ in range(count)]
        assert view.finished == self.game.finished
        return "end" if view.finished else " ".join(sorted(names))


def both(*tasks: str, name: str = "A1") -> Fork:
    return Fork(name, tuple(Branch((Task(task),)) for task in tasks))


def test_sequence() -> None:
    trace = Trace(Task("T1"), Task("J1", Kind.SERVICE), Pause("P1", HOUR), Task("T2"))
    assert str(trace) == "T1"
    assert trace("T1") == "J1"
    assert trace("J1") == "P1@"
    assert trace("P1@") == "T2"
    assert trace("T2") == "end"


def test_exclusive_takes_the_first_true_condition_else_the_default() -> None:
    choice = Choice("X1", (Branch((Task("T1"),), BIG), Branch((Task("T2"),)), Branch((Task("T3"),), URGENT)))
    assert str(Trace(choice, amount=9, urgent=True)) == "T1"
    assert str(Trace(choice, amount=1, urgent=True)) == "T3"
    assert str(Trace(choice, amount=1, urgent=False)) == "T2"


def test_flows_without_a_merge_run_into_the_next_task() -> None:
    choice = Choice("X1", (Branch((Task("T1"),), BIG), Branch(())), merge=False)
    assert Trace(choice, Task("T2"), amount=9)("T1") == "T2"
    assert str(Trace(choice, Task("T2"), amount=1)) == "T2"


def test_a_parallel_join_waits_for_all() -> None:
    trace = Trace(both("T1", "T2", "T3"), Task("T4"))
    assert trace("T2 T1") == "T3"
    assert trace("T3") == "T4"


def test_a_parallel_join_takes_one_token_of_each_flow_and_leaves_the_rest() -> None:
    trace = Trace(net=SURPLUS)
    assert trace("T1 T2") == "T3"
    assert trace("T3") == "T4"
    trace("T4")
    assert not trace.game.finished
    assert trace.game.stuck


def test_without_a_join_each_token_goes_its_own_way() -> None:
    trace = Trace(net=TWICE)
    assert trace("T1 T2") == "T3 T3"
    assert trace("T3") == "T3"
    assert trace("T3") == "end"


def test_a_parallel_join_in_a_loop_begins_anew_in_each_round() -> None:
    loop = Loop("L1", (both("T1", "T2"), Task("T3")), REJECTED, ())
    for first, second in (("T1", "T2"), ("T2", "T1")):
        trace = Trace(loop, Task("T4"))
        assert trace("T1 T2") == "T3"
        assert trace("T3!") == "T1 T2"
        assert trace(first) == second
        assert trace(second) == "T3"
        assert trace("T3") == "T4"


def test_an_inclusive_join_waits_for_the_branches_taken() -> None:
    branches = (Branch((Task("T1"),), BIG), Branch((Task("T2"),), URGENT), Branch((Task("T3"),)))
    fork = Fork("O1", branches, inclusive=True)
    trace = Trace(fork, Task("T4"), amount=9, urgent=True)
    assert str(trace) == "T1 T2"
    assert trace("T2") == "T1"
    assert trace("T1") == "T4"
    assert Trace(fork, Task("T4"), amount=9, urgent=False)("T1") == "T4"
    assert Trace(fork, Task("T4"), amount=1, urgent=False)("T3") == "T4"


def test_an_inclusive_join_waits_for_a_token_upstream_but_not_for_one_that_ended() -> None:
    redo = Loop("L1", (Task("T1"),), REJECTED, ())
    leave = Choice("X1", (Branch((Stop("E1", terminate=False),), REJECTED), Branch(())))
    fork = Fork("O1", (Branch((redo,), BIG), Branch((Task("T2"),)), Branch((Task("T3"),), URGENT)), inclusive=True)
    trace = Trace(fork, Task("T4"), amount=9, urgent=True)
    assert trace("T3") == "T1"
    assert trace("T1!") == "T1"
    assert trace("T1") == "T4"
    fork = Fork("O1", (Branch((Task("T2"), leave), URGENT), Branch((Task("T3"),), BIG), Branch(())), inclusive=True)
    trace = Trace(fork, Task("T4"), amount=9, urgent=True)
    assert trace("T3") == "T2"
    assert trace("T2!") == "T4"


def test_an_inclusive_join_does_not_wait_for_a_token_that_can_reach_a_filled_flow_too() -> None:
    trace = Trace(net=EITHER_FLOW, amount=1)
    assert trace("T1") == "T2 T3"
    trace = Trace(net=EITHER_FLOW, amount=1)
    assert trace("T2") == "T1"
    assert trace("T1") == "T3"


def test_an_interrupting_boundary_cancels_its_activity() -> None:
    late = Boundary("B1", HOUR, True, (Task("T9"),))
    trace = Trace(Task("T1", boundaries=(late,)), Task("T2"))
    assert str(trace) == "B1@ T1"
    assert trace("B1@") == "T9"
    assert trace("T9") == "T2"
    assert Trace(Task("T1", boundaries=(late,)), Task("T2"))("T1") == "T2"
    trace = Trace(Sub("S1", (both("T3", "T4"), Task("T5")), boundaries=(late,)), Task("T2"))
    assert trace("T3") == "B1@ T4"
    assert trace("B1@") == "T9"


def test_a_non_interrupting_boundary_adds_a_token() -> None:
    late = Boundary("B1", HOUR, False, (Task("T9"),))
    trace = Trace(Task("T1", boundaries=(late,)), Task("T2"))
    assert trace("B1@") == "T1 T9"
    assert trace("T1 T2") == "T9"
    assert trace("T9") == "end"


def test_a_cycle_counts_from_when_it_should_have_fired() -> None:
    every = Boundary("B1", Wait(1, cycle=2), False, (Task("T9"),))
    game = Game(compile_process((Task("T1", boundaries=(every,)),)), {}, NOW)
    fire = Move("timer", "B1")
    game = game.apply(fire, game.handles(fire)[0], NOW + timedelta(minutes=80))
    assert game.view().timers == (("B1", NOW + timedelta(hours=2), 1),)
    game = game.apply(fire, game.handles(fire)[0], NOW + timedelta(hours=2))
    assert game.view().timers == ()
    assert game.view().tasks == (("T1", 1), ("T9", 2))


def test_a_sub_process_ends_with_its_last_token() -> None:
    late = Boundary("B1", HOUR, False, (Task("T9"),))
    trace = Trace(Sub("S1", (Task("T1", boundaries=(late,)),)), Task("T2"))
    assert trace("B1@ T1") == "T9"
    assert trace("T9") == "T2"


def test_a_terminate_end_ends_its_own_scope() -> None:
    stop = Choice("X1", (Branch((Stop("E1", terminate=True),), REJECTED), Branch(())))
    inner = Fork("A1", (Branch((Task("T1"), stop)), Branch((Task("T2"),))))
    assert Trace(inner, Task("T3"))("T1!") == "end"
    assert Trace(Sub("S1", (inner,)), Task("T3"))("T1!") == "T3"
    assert Trace(Fork("A2", (Branch((Sub("S1", (inner,)), Task("T3"))), Branch((Task("T4"),)))))("T1!") == "T3 T4"


def test_parallel_multi_instance() -> None:
    many = Sub("S1", (both("T1", "T2"),), Many(False, "items", "item1"))
    trace = Trace(many, Task("T3"), items=[4, 5])
    assert str(trace) == "T1 T1 T2 T2"
    assert trace("T1", which=0) == "T1 T2 T2"
    assert trace("T2", which=1) == "T1 T2"
    assert trace("T1") == "T2"
    assert trace("T2") == "T3"
    assert str(Trace(many, Task("T3"), items=[])) == "T3"


def test_sequential_multi_instance_fixes_its_items_at_the_start() -> None:
    small = Choice("X1", (Branch((Task("T1"),), Compare("item1", "<", 5)), Branch((Task("T2"),))))
    many = Sub("S1", (small,), Many(True, "items", "item1"))
    trace = Trace(Fork("A1", (Branch((many,)), Branch((Task("T8"),)))), Task("T9"), items=[4, 6])
    assert trace("T8", items=[1, 1, 1]) == "T1"
    assert trace("T1") == "T2"
    assert trace("T2") == "T9"


def test_a_completion_condition_cancels_the_other_instances() -> None:
    many = Sub("S1", (Task("T1"),), Many(False, count=3, until=URGENT))
    trace = Trace(many, Task("T2"), urgent=False)
    assert trace("T1") == "T1 T1"
    assert trace("T1", urgent=True) == "T2"
    assert Trace(Sub("S1", (Task("T1"),), Many(True, count=3, until=URGENT)), Task("T2"), urgent=True)("T1") == "T2"


def test_what_an_instance_writes_stays_in_it() -> None:
    large = Choice("X1", (Branch((Task("T2"),), BIG), Branch((Task("T3"),))))
    many = Sub("S1", (Task("T1"), large), Many(False, count=2))
    trace = Trace(many, Task("T4"), amount=1)
    assert trace("T1", amount=9) == "T1 T2"
    assert trace("T1") == "T2 T3"
    assert trace("T2 T3") == "T4"
    assert trace.game.data["amount"] == 1


def test_the_first_event_of_a_race_wins() -> None:
    race = Race("R1", ((Pause("P1", HOUR), (Task("T1"),)), (Pause("P2", Wait(2)), ())))
    trace = Trace(race, Task("T2"))
    assert str(trace) == "P1@ P2@"
    assert trace("P1@") == "T1"
    assert trace("T1") == "T2"
    assert Trace(race, Task("T2"))("P2@") == "T2"


def test_a_timer_runs_from_when_its_token_came() -> None:
    game = Game(compile_process((Task("T1"), Pause("P1", HOUR))), {}, NOW)
    later = NOW + timedelta(minutes=20)
    game = game.apply(Move("task", "T1", "approve"), game.handles(Move("task", "T1"))[0], later)
    assert game.view().timers == (("P1", later + HOUR.delta, 1),)


def test_outcome_is_that_of_the_own_branch() -> None:
    ask = Choice("X1", (Branch((Task("T3"),), REJECTED), Branch((Task("T4"),))))
    trace = Trace(Fork("A1", (Branch((Task("T1"), Pause("P1", HOUR), ask)), Branch((Task("T2"),)))), Task("T5"))
    assert trace("T1! T2") == "P1@"
    assert trace("P1@") == "T3"
