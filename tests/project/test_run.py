from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from project.dev.ports import free_port
from project.dev.stack import Stack


def run(var: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "project.dev.run"],
        cwd=settings.BASE_DIR,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "VAR_DIR": str(var),
            "PORT": str(free_port()),
            "MAIL_PORT": str(free_port()),
            "REDIS_URL": "",
            "DATABASE_URL": "",
            **env,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield str(server.getsockname()[1])


@pytest.mark.parametrize("variable", ["PORT", "MAIL_PORT", "BROKER_PORT"])
def test_run__taken_port_is_explained_in_one_line(tmp_path: Path, taken_port: str, variable: str) -> None:
    done = run(tmp_path, **{variable: taken_port})

    assert done.returncode == 1
    assert done.stderr == (
        f"Port {taken_port} is taken. Choose another: make run {variable}={int(taken_port) + 1}\n"
    )


def test_run__port_that_is_none_is_explained_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, PORT="http")

    assert done.returncode == 1
    assert done.stderr == "PORT=http is no port number. Give one: make run PORT=8000\n"


def test_run__unreachable_broker_is_explained_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")

    assert done.returncode == 1
    assert done.stderr.startswith("The broker at REDIS_URL=redis://127.0.0.1:")
    assert done.stderr.count("\n") == 1


def test_run__unreachable_database_is_explained_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/none")

    assert done.returncode == 1
    assert done.stderr.startswith("migrate: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda one: one.name)
def test_run__serves_until_stopped_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    stack = Stack(tmp_path / "a stack")
    with stack:
        stack.start()
        assert stack.process is not None
        started = psutil.Process(stack.process.pid).children(recursive=True)
        names = " ".join(" ".join(one.cmdline()) for one in started)
        assert all(part in names for part in ("-server", "celery", "gunicorn", "project.dev.mailbox"))

        stack.process.send_signal(number)

        assert stack.process.wait(40) == 0, stack.last_lines()
        assert [one for one in started if one.is_running()] == []
        assert f"The library:  {stack.site}" in stack.log.read_text()
