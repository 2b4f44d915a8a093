"""Every crashpoint of the bus, in the processes that come by it."""

from __future__ import annotations

from pathlib import Path
from random import Random

from events.crashpoints import NAMES
from tests.chaos.faults.registry import fault
from tests.chaos.fleet import wait_until
from tests.chaos.stage import Stage

# The first word of a crashpoint → the processes that come by it.
KINDS: dict[str, tuple[str, ...]] = {
    "emit": ("web",),
    "journal": ("web",),
    "publish": ("web", "relay"),
    "deliver": ("worker",),
    "careful": ("worker",),
    "relay": ("relay",),
    "prune": ("prune",),
}
# Those that a healthy worker seldom comes by: all of them are armed.
RARE = ("deliver.failed", "careful.counted")
# Seconds for somebody to come by.
_PATIENCE = 90.0


def reached_by(kind: str) -> list[str]:
    return sorted(name for name in NAMES if kind in KINDS[name.partition(".")[0]])


def _died(env: dict[str, str]) -> bool:
    return Path(env["EVENTS_CRASHPOINT_ONCE"]).exists()


def _armed(stage: Stage, name: str) -> dict[str, str]:
    once = stage.crash_file(name)
    return {"EVENTS_CRASHPOINT": name, "EVENTS_CRASHPOINT_ONCE": str(once)}


def _wait(stage: Stage, env: dict[str, str]) -> None:
    name = env["EVENTS_CRASHPOINT"]
    if not wait_until(lambda: _died(env), _PATIENCE):
        stage.say(f"nobody came by {name} within {_PATIENCE:.0f} s")
        stage.missed.append(name)


@fault("web-dies-at-crashpoints")
def crash_webs(stage: Stage, random: Random) -> None:
    """a web process dies at each crashpoint of emitting and publishing"""
    for name in random.sample(reached_by("web"), len(reached_by("web"))):
        web = random.choice(stage.load.webs)
        env = _armed(stage, name)
        stage.fleet.arm(web, env)
        _wait(stage, env)
    stage.wait_whole()


@fault("pool-dies-at-crashpoints")
def crash_pools(stage: Stage, random: Random) -> None:
    """a worker's pool process dies at each crashpoint of delivering"""
    names = random.sample(reached_by("worker"), len(reached_by("worker")))
    often = [name for name in names if name not in RARE]
    while often:
        # Each worker at another one.
        workers = stage.workers[: len(often)]
        armed = [_armed(stage, often.pop()) for _ in workers]
        stage.fleet.restart(workers, armed)
        for env in armed:
            _wait(stage, env)
    for name in RARE:
        env = _armed(stage, name)
        stage.fleet.restart(stage.workers, [env] * len(stage.workers))
        if name == "careful.counted":
            _make_careful(stage, env, random)
        _wait(stage, env)
    stage.wait_whole()


def _make_careful(stage: Stage, env: dict[str, str], random: Random) -> None:
    """Deliveries run carefully when a process died with them in hand."""

    def died() -> bool:
        stage.load.bulk()
        for each in stage.workers:
            each.kill_child(random)
        return wait_until(lambda: _died(env), 3)

    wait_until(died, _PATIENCE)


@fault("relay-dies-at-crashpoints")
def crash_relays(stage: Stage, random: Random) -> None:
    """the relay that feeds the queues dies at each of its crashpoints"""
    for name in random.sample(reached_by("relay"), len(reached_by("relay"))):
        _crash_relay(stage, _armed(stage, name))
    stage.wait_whole()


def _crash_relay(stage: Stage, env: dict[str, str]) -> None:
    (relay,) = stage.relays
    stage.fleet.arm(relay, env)

    def fed() -> bool:
        # It takes over as soon as it runs, and gets something to do.
        stage.load.bulk()
        return wait_until(lambda: stage.feed_with(relay) or _died(env), 2, every=0.2)

    wait_until(fed, _PATIENCE)
    _wait(stage, env)


@fault("prune-dies-halfway")
def crash_prune(stage: Stage, random: Random) -> None:
    """a prune of all that was finished before this round dies at each of its crashpoints; another one follows"""
    for name in random.sample(reached_by("prune"), len(reached_by("prune"))):
        env = _armed(stage, name)

        def pruned(env: dict[str, str] = env) -> bool:
            # Events are examined 15 s after they were emitted: until then there may be nothing to prune.
            stage.prune(env)
            return _died(env)

        wait_until(pruned, _PATIENCE, every=1)
        _wait(stage, env)
    stage.prune({})
