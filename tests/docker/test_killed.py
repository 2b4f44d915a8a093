"""The stack under load, while one container after the other is killed; and several workers on one backlog."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.load import Load
from tests.docker import shared
from tests.docker.engine import docker
from tests.docker.load import under_load
from tests.docker.stack import Compose, running

VICTIMS = [
    "web",
    "worker-emails",
    "worker-audit",
    "worker-recommendations",
    "worker-files",
    "worker-default",
    "redis",
    "db",
]
# Transactions, one of several hundred events apart, before and after a container is killed, and seconds they may take.
STEPS, PATIENCE = 8, 240
# Seconds of load on a stack that lacks a container: none of it may get through.
WITHOUT = 4
# In messages of 10, more than any one worker takes before all have begun.
SHARES = 300


@pytest.fixture(scope="module")
def stack(tests_image: str) -> Iterator[Compose]:
    with running(Compose(tests_image, "chaos.yml")) as compose:
        yield compose


@pytest.fixture(scope="module")
def judge(stack: Compose) -> str:
    """A container beside the stack that nobody kills: it is asked what was committed, and what came of it."""
    name = f"{stack.name}-judge"
    stack.run("run", "--detach", "--no-deps", "--name", name, "migrate", "sleep", "infinity")
    ask(name, "prepare")
    return name


def ask(judge: str, *command: str) -> Any:
    return json.loads(docker("exec", judge, "python", "-m", "tests.docker.inside", *command))


def go_on(load: Load, seconds: float = PATIENCE) -> None:
    load.wait_steps(STEPS, seconds)


@pytest.mark.timeout(1800)
def test_any_container_killed_under_load__nothing_is_lost_and_nothing_done_twice(
    stack: Compose, judge: str, tmp_path: Path
) -> None:
    began = {victim: stack.state(victim)["StartedAt"] for victim in VICTIMS}

    with under_load(stack, tmp_path) as load:
        for number, victim in enumerate(VICTIMS, 1):
            load.go(number)
            go_on(load)
            # So that everybody is busy.
            load.bulk()
            load.wait_steps(1, PATIENCE)
            with stack.killed(victim):
                go_on(load, WITHOUT)
        go_on(load)
        load.pause()
    found = ask(judge, "settle")

    assert found["troubles"] == [], found
    assert found["finished"] == found["deliveries"]
    assert all(found["events"].get(str(number)) for number in range(1, len(VICTIMS) + 1)), found["events"]
    assert [victim for victim in VICTIMS if stack.state(victim)["StartedAt"] == began[victim]] == []


@pytest.mark.timeout(1800)
def test_three_workers_on_one_backlog__share_it_and_none_runs_what_another_ran(
    stack: Compose, judge: str
) -> None:
    stack.run("stop", "worker-default")
    ask(judge, "backlog", str(SHARES))

    stack.up("--no-recreate", "--no-deps", "--scale", f"worker-default={shared.WORKERS}", "worker-default")
    found = ask(judge, "settle")
    stack.up("--no-recreate", "--no-deps", "--scale", "worker-default=1", "worker-default")

    assert found["troubles"] == [], found
    assert len(ask(judge, "shares")) == shared.WORKERS
    assert ask(judge, "ran", shared.RECEIVER) == SHARES
