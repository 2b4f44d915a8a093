from __future__ import annotations

import pytest

from tests.chaos.options import Options, Unusable, parse


def options(*arguments: str, **environ: str) -> Options:
    return parse(arguments, environ)


def test_options__defaults() -> None:
    chosen = options("--seed", "7")
    assert (chosen.minutes, chosen.seed, chosen.database, chosen.database_url) == (5, "7", "sqlite", "")


def test_options__variables_are_read_and_arguments_win() -> None:
    chosen = options("--minutes", "2", CHAOS_MINUTES="1", CHAOS_SEED="7", CHAOS_DATABASE="postgresql")
    assert (chosen.minutes, chosen.seed, chosen.database) == (2, "7", "postgresql")


def test_options__how_many_faults_share_a_round_and_how_often_each_strikes() -> None:
    assert (options().together, options().laps) == (0, 0)
    chosen = options(CHAOS_TOGETHER="5", CHAOS_LAPS="1")
    assert (chosen.together, chosen.laps) == (5, 1)
    with pytest.raises(Unusable, match="counted from 1"):
        options("--together=-1")


def test_options__an_empty_variable_is_none() -> None:
    chosen = options(CHAOS_MINUTES="", CHAOS_SEED="", CHAOS_EVENTS="", DATABASE_URL="", BROKER_URL="")
    assert (chosen.minutes, chosen.events) == (5, 0)
    assert chosen.seed


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": "postgres://someone@db.example.org/shop"},
        {"BROKER_URL": "redis://10.0.0.1:6379/0"},
    ],
)
def test_options__another_machine_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(Unusable, match="this machine alone"):
        options(**environ)


@pytest.mark.parametrize(
    "environ", [{"DATABASE_URL": "oracle://localhost/x"}, {"BROKER_URL": "amqp://localhost"}]
)
def test_options__what_no_fault_is_made_for_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(Unusable, match=r"only PostgreSQL|has to be redis"):
        options(**environ)


@pytest.mark.parametrize("environ", [{"CHAOS_BROKER": "rabbitmq"}, {"CHAOS_DATABASE": "dbase"}])
def test_options__wrong_choice_in_a_variable(environ: dict[str, str]) -> None:
    with pytest.raises(Unusable, match="choose"):
        options(**environ)
