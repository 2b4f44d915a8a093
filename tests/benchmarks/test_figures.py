from __future__ import annotations

import pytest

from benchmarks.figures import Figure, Goal, Sample, percentile, summarise, summarise_all, verdict


def samples(*values: float) -> list[Sample]:
    return [Sample(value) for value in values]


@pytest.mark.parametrize(
    ("values", "percent", "found"),
    [([5.0], 99, 5.0), (list(range(1, 101)), 99, 99), (list(range(1, 101)), 50, 50), ([3, 1, 2], 50, 2)],
)
def test_percentile__is_one_of_the_values(values: list[float], percent: float, found: float) -> None:
    assert percentile(values, percent) == found


def test_summary__holds_the_median_and_the_extremes_of_the_rounds() -> None:
    found = summarise(samples(3, 9, 4), None)
    assert (found.median, found.low, found.high) == (4, 3, 9)
    assert found.p99 is found.ratio is None


def test_summary__p99_is_of_the_single_measurements_of_all_rounds() -> None:
    rounds = [Sample(1, list(range(1, 51))), Sample(1, list(range(51, 101)))]
    assert summarise(rounds, None).p99 == 99


def test_ratio__is_taken_round_by_round() -> None:
    """The second round found the machine three times as slow, for both."""
    found = summarise(samples(10, 30, 11), samples(100, 300, 100))
    assert found.ratio == pytest.approx(0.1)
    assert (found.ratio_low, found.ratio_high) == (pytest.approx(0.1), pytest.approx(0.11))


def test_ratio__there_is_none_to_nothing() -> None:
    assert summarise(samples(1), samples(0)).ratio is None


@pytest.mark.parametrize(
    ("goal", "ratio", "met"),
    [
        (Goal(at_most=0.25), 0.25, True),
        (Goal(at_most=0.25, aim=0.1), 0.2501, False),
        (Goal(at_least=10), 10, True),
        (Goal(at_least=10), 9.99, False),
    ],
)
def test_goal__is_met_up_to_its_limit(goal: Goal, ratio: float, met: bool) -> None:
    assert goal.is_met(ratio) is met


def test_goal__says_what_is_hoped_for_besides() -> None:
    assert str(Goal(at_most=0.25, aim=0.1)) == "≤ 0.25 × (aim: 0.1 ×)"
    assert str(Goal(at_least=1.2)) == "≥ 1.2 ×"


def test_verdict__each_database_may_have_a_goal_of_its_own() -> None:
    figure = Figure(
        name="rate",
        title="",
        unit="/s",
        goals={"sqlite": Goal(at_least=2), "postgresql": Goal(at_least=1.2)},
    )
    found = summarise(samples(15), samples(10))
    assert verdict(figure, "sqlite", found) is False
    assert verdict(figure, "postgresql", found) is True


def test_verdict__there_is_none_without_a_goal_or_a_baseline() -> None:
    goal = {"": Goal(at_most=1)}
    assert verdict(Figure(name="a", title="", unit=""), "sqlite", summarise(samples(1), samples(1))) is None
    assert (
        verdict(Figure(name="a", title="", unit="", goals=goal), "sqlite", summarise(samples(1), None))
        is None
    )


def test_verdict__a_figure_that_is_a_ratio_needs_no_baseline() -> None:
    figure = Figure(name="times", title="", unit="×", goals={"": Goal(at_most=1.2)}, is_ratio=True)
    assert verdict(figure, "sqlite", summarise(samples(1.3), None)) is False
    assert verdict(figure, "sqlite", summarise(samples(1.1), None)) is True


def test_summaries__who_did_not_measure_it_is_left_out() -> None:
    figure = Figure(name="rate", title="", unit="/s")
    rounds = {"ours": [{"rate": Sample(20)}], "baseline": [{"rate": Sample(10)}], "peer": [{}]}
    found = summarise_all(figure, rounds)
    assert set(found) == {"ours", "baseline"}
    assert found["ours"].ratio == 2
