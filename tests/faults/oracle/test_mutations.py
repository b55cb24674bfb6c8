"""The test of the test: the right toy passes, and every wrong toy is caught and its process made small."""

import pytest

from tests.faults.oracle.blocks import Place, Seq, tasks, well_formed
from tests.faults.oracle.driver import Difference, draw, play_random
from tests.faults.oracle.game import Game
from tests.faults.oracle.generator import MAX_TASKS, MIN_TASKS, generate
from tests.faults.oracle.shrink import shrink
from tests.faults.oracle.toy import MUTANTS, EarlyAnd, Toy

SEEDS = range(150)


def differs(toy: Toy, body: Seq, seed: int) -> bool:
    toy.learn(draw(body, seed))
    try:
        play_random(toy, body, seed)
    except Difference:
        return True
    return False


def test_the_game_agrees_with_itself_through_the_driver() -> None:
    toy = Toy(Game)
    assert [seed for seed in SEEDS if differs(toy, generate(seed), seed)] == []


@pytest.mark.parametrize("rules", MUTANTS, ids=lambda rules: rules.__name__)
def test_a_wrong_rule_is_caught(rules: type[Game]) -> None:
    toy = Toy(rules)
    assert any(differs(toy, generate(seed), seed) for seed in SEEDS)


def test_a_failing_process_is_made_small() -> None:
    toy = Toy(EarlyAnd)
    seed = next(seed for seed in SEEDS if tasks(generate(seed)) > 10 and differs(toy, generate(seed), seed))
    small = shrink(generate(seed), lambda body: differs(toy, body, seed))
    assert differs(toy, small, seed)
    assert tasks(small) <= 3


def test_processes_are_reproducible_and_well_formed() -> None:
    for seed in SEEDS:
        body = generate(seed)
        assert body == generate(seed)
        assert well_formed(body, Place())
        assert MIN_TASKS <= tasks(body) <= MAX_TASKS
