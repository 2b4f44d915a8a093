"""A seed decides the order, the moments and the details of the faults."""

from __future__ import annotations

from itertools import islice
from random import Random

from events.crashpoints import NAMES
from tests.chaos.faults import FAULTS
from tests.chaos.faults.crashing import KINDS, reached_by
from tests.chaos.plan import Round, rounds, size_of_round


def plan(seed: str, minutes: float = 5, number: int = 60) -> list[Round]:
    return list(islice(rounds(seed, list(FAULTS), size_of_round(minutes)), number))


def names(planned: list[Round]) -> list[str]:
    return [strike.fault for round_ in planned for strike in round_.strikes]


def test_plan__one_seed_one_plan() -> None:
    assert plan("7") == plan("7")
    assert plan("7") != plan("8")


def test_plan__begins_in_peace() -> None:
    assert plan("7")[0].strikes == ()


def test_plan__every_fault_once_before_any_comes_again() -> None:
    for minutes in (1, 5):
        faults = names(plan("7", minutes))
        assert sorted(faults[: len(FAULTS)]) == sorted(FAULTS)
        assert sorted(faults[len(FAULTS) : 2 * len(FAULTS)]) == sorted(FAULTS)


def test_plan__a_longer_run_begins_like_a_shorter_one() -> None:
    assert plan("7", minutes=5, number=10) == plan("7", minutes=60, number=30)[:10]


def test_plan__little_time_has_several_faults_in_a_round() -> None:
    assert [len(plan("7", minutes)[1].strikes) for minutes in (1, 3, 5)] == [2, 3, 1]


def test_strike__its_seed_decides_the_details() -> None:
    strikes = [strike for round_ in plan("7") for strike in round_.strikes]
    assert len({Random(strike.seed).random() for strike in strikes}) == len(strikes)


def test_crashpoints__each_is_reached_by_processes_of_some_kind() -> None:
    assert {kind for kinds in KINDS.values() for kind in kinds} == {"web", "worker", "relay", "prune"}
    reached = {name for kinds in KINDS.values() for kind in kinds for name in reached_by(kind)}
    assert reached == NAMES


def test_faults__each_says_what_it_does() -> None:
    assert [name for name, fault in FAULTS.items() if not fault.what] == []
