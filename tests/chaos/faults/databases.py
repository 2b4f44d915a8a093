"""A database that ends under everybody's hands."""

from __future__ import annotations

import time
from random import Random

from tests.chaos.database import GivenPostgres, PrivatePostgres
from tests.chaos.faults.registry import Need, fault
from tests.chaos.stage import Stage


@fault("database-restarted", Need.OWN_POSTGRESQL)
def restart(stage: Stage, random: Random) -> None:
    """PostgreSQL restarted without a checkpoint, `-m immediate`"""
    assert isinstance(stage.database, PrivatePostgres)
    stage.database.server.restart("immediate")


@fault("database-killed", Need.OWN_POSTGRESQL)
def kill(stage: Stage, random: Random) -> None:
    """kill -9 of all of PostgreSQL's processes; it comes back after a while"""
    assert isinstance(stage.database, PrivatePostgres)
    stage.database.server.kill()
    time.sleep(random.uniform(0, 3))
    stage.database.server.start()


@fault("database-connections-cut", Need.POSTGRESQL)
def cut(stage: Stage, random: Random) -> None:
    """pg_terminate_backend of every connection, three times"""
    assert isinstance(stage.database, (PrivatePostgres, GivenPostgres))
    for _ in range(3):
        stage.database.cut_connections()
        stage.load.wait_steps(random.randint(2, 10), seconds=3)
