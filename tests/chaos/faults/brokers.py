"""A broker that is away, mute, full, read-only, or that lost what it held."""

from __future__ import annotations

import time
from random import Random

from project.dev.ports import free_port
from tests.chaos.broker import OwnBroker
from tests.chaos.faults.registry import Need, fault
from tests.chaos.stage import Stage


def _own(stage: Stage) -> OwnBroker:
    assert isinstance(stage.broker, OwnBroker)
    return stage.broker


@fault("broker-emptied")
def flush(stage: Stage, random: Random) -> None:
    """FLUSHALL, twice"""
    for _ in range(2):
        stage.load.bulk()
        stage.load.wait_steps(random.randint(2, 10), seconds=3)
        stage.broker.flush()


@fault("broker-hangs")
def hang(stage: Stage, random: Random) -> None:
    """cut off: connections are accepted, and nothing is answered"""
    stage.proxy.hang()
    time.sleep(random.uniform(2, 6))
    stage.proxy.heal()


@fault("broker-refuses")
def refuse(stage: Stage, random: Random) -> None:
    """cut off: connections are reset, and refused"""
    stage.proxy.refuse()
    time.sleep(random.uniform(2, 6))
    stage.proxy.heal()


@fault("broker-slow")
def slow(stage: Stage, random: Random) -> None:
    """every answer comes a fraction of a second late"""
    stage.proxy.delay = random.uniform(0.1, 0.5)
    time.sleep(random.uniform(2, 5))
    stage.proxy.heal()


@fault("broker-frozen", Need.OWN_BROKER)
def freeze(stage: Stage, random: Random) -> None:
    """SIGSTOP, and later SIGCONT"""
    _own(stage).freeze(random.uniform(2, 8))


@fault("broker-killed-empty", Need.OWN_BROKER)
def kill_and_lose(stage: Stage, random: Random) -> None:
    """kill -9; it comes back without its data"""
    broker = _own(stage)
    stage.load.bulk()
    stage.load.wait_steps(random.randint(2, 10), seconds=3)
    broker.kill(loses=True)
    broker.forget()
    time.sleep(random.uniform(0, 4))
    broker.start()


@fault("broker-killed-snapshot", Need.OWN_BROKER)
def kill_with_snapshot(stage: Stage, random: Random) -> None:
    """kill -9; it comes back with what it held some transactions ago: old messages again, new ones lost"""
    broker = _own(stage)
    broker.forget()
    stage.load.bulk()
    stage.load.wait_steps(random.randint(2, 6), seconds=3)
    broker.save()
    stage.load.wait_steps(random.randint(10, 30), seconds=5)
    broker.kill(loses=True)
    time.sleep(random.uniform(0, 4))
    broker.start()


@fault("broker-killed-log", Need.OWN_BROKER)
def kill_with_log(stage: Stage, random: Random) -> None:
    """kill -9; it comes back with what its append-only file holds"""
    broker = _own(stage)
    broker.forget()
    broker.append_from_now_on()
    stage.load.bulk()
    stage.load.wait_steps(random.randint(10, 30), seconds=5)
    broker.kill(loses=False)
    time.sleep(random.uniform(0, 4))
    broker.start(appendonly=True)


@fault("broker-full", Need.OWN_BROKER)
def fill(stage: Stage, random: Random) -> None:
    """maxmemory is reached in the middle of a pipeline"""
    client = stage.broker.client()
    room, before = random.randint(5_000, 100_000), stage.broker.refused_for_memory()
    try:
        for _ in range(random.randint(3, 6)):
            used = int(client.info("memory")["used_memory"])  # type: ignore[index]  # says it may be awaitable
            client.config_set("maxmemory", used + room)
            stage.load.bulk()
            time.sleep(random.uniform(0.5, 1.5))
            if stage.broker.refused_for_memory() == before:
                # What it frees for others in between is more than that.
                room //= 3
    finally:
        client.config_set("maxmemory", 0)
    if stage.broker.refused_for_memory() == before:
        stage.missed.append("broker-full")


@fault("broker-read-only", Need.OWN_BROKER)
def make_read_only(stage: Stage, random: Random) -> None:
    """it takes no writes: a replica whose primary is gone, or a primary that misses its replica"""
    client = stage.broker.client()
    replica = random.random() < 0.5
    if replica:
        client.replicaof("127.0.0.1", free_port())
    else:
        client.config_set("min-replicas-to-write", 1)
    try:
        time.sleep(random.uniform(2, 5))
    finally:
        if replica:
            client.replicaof("NO", "ONE")
        else:
            client.config_set("min-replicas-to-write", 0)
