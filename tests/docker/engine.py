"""The Docker engine of this machine, and whether there is one."""

from __future__ import annotations

import shutil
import subprocess

# Seconds for a command that builds an image or starts a whole stack; others are quicker.
PATIENCE = 900


class Failed(Exception):
    """A command of Docker's did, with what it said last."""


def missing() -> str:
    """Why the tests can't run here; empty where they can."""
    if shutil.which("docker") is None:
        return "there is no docker on PATH"
    for command in (("info",), ("compose", "version")):
        asked = subprocess.run(["docker", *command], capture_output=True, text=True, timeout=60, check=False)
        if asked.returncode:
            said = (asked.stderr or asked.stdout).strip().splitlines() or ["nothing"]
            return f"`docker {' '.join(command)}` says: {said[-1]}"
    return ""


def docker(*arguments: str, env: dict[str, str] | None = None) -> str:
    """What it says on its standard output. Raises `Failed`."""
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        check=False,
        env=env,
    )
    if done.returncode:
        raise Failed(
            f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
        )
    return done.stdout
