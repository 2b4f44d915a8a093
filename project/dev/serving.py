"""`python -m project.dev.SERVER -- COMMAND`: a command beside a server that is there for it alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class Server(Protocol):
    @property
    def environment(self) -> Mapping[str, str]:
        """How the project's processes find it."""


def run_beside(
    module: str,
    server: AbstractContextManager[Server],
    failure: type[Exception],
    arguments: Sequence[str],
) -> int:
    """The command's exit code; what keeps the server from starting is one message and 1."""
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not command:
        print(f"Usage: python -m project.dev.{module} -- COMMAND [ARGUMENT …]", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        with server as running:
            environment = inherited() | dict(running.environment)
            return subprocess.run(command, env=environment, check=False).returncode
    except (failure, FileNotFoundError) as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def inherited() -> dict[str, str]:
    """This process's environment, as it was given to it."""
    # What importing `project` has put there is a default, and would go before the one in pyproject.toml.
    default = ("DJANGO_SETTINGS_MODULE", "project.settings")
    return {name: value for name, value in os.environ.items() if (name, value) != default}


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt
