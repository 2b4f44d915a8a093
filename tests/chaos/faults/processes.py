"""Processes of ours that are killed, frozen, or asked to stop."""

from __future__ import annotations

import time
from random import Random

from tests.chaos.faults.registry import fault
from tests.chaos.fleet import wait_until
from tests.chaos.stage import Stage


@fault("web-killed")
def kill_webs(stage: Stage, random: Random) -> None:
    """kill -9 of a web process, three times, wherever it is"""
    for _ in range(3):
        random.choice(stage.load.webs).kill()
        stage.load.wait_steps(random.randint(5, 20), seconds=5)
    stage.wait_whole()


@fault("pool-killed")
def kill_pool_processes(stage: Stage, random: Random) -> None:
    """kill -9 of a worker's pool process, three times, wherever it is"""
    for _ in range(3):
        random.choice(stage.workers).kill_child(random)
        stage.load.wait_steps(random.randint(5, 20), seconds=5)


@fault("worker-parent-killed")
def kill_worker_parent(stage: Stage, random: Random) -> None:
    """kill -9 of a worker's parent process alone: its pool is orphaned"""
    random.choice(stage.workers).kill()
    stage.wait_whole()


@fault("worker-killed")
def kill_worker(stage: Stage, random: Random) -> None:
    """kill -9 of a worker and its pool at once"""
    random.choice(stage.workers).kill_group()
    stage.wait_whole()


@fault("worker-frozen-then-killed")
def freeze_worker(stage: Stage, random: Random) -> None:
    """a worker is frozen, messages are published, and it is killed with those it took"""
    worker = random.choice(stage.workers)
    worker.freeze_group()
    stage.load.bulk()
    stage.load.wait_steps(random.randint(30, 60), seconds=8)
    worker.kill_group()
    stage.wait_whole()


@fault("worker-asked-to-stop")
def deploy(stage: Stage, random: Random) -> None:
    """SIGTERM to one worker after the other, as a deploy does"""
    for worker in stage.workers:
        stage.fleet.restart([worker])
        stage.load.wait_steps(random.randint(5, 20), seconds=5)


@fault("relay-killed")
def kill_relay(stage: Stage, random: Random) -> None:
    """kill -9 of the relay that feeds the queues, twice"""
    (relay,) = stage.relays
    for _ in range(2):
        before = relay.incarnation
        for _ in range(3):
            stage.feed_with(relay)
            stage.load.bulk()
            time.sleep(random.uniform(0.3, 0.8))
        relay.kill()
        wait_until(lambda before=before: relay.incarnation > before, 10)
    stage.wait_whole()
