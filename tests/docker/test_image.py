from __future__ import annotations

import json

import pytest

from tests.docker.engine import docker

# Seconds; the first of them builds the image.
pytestmark = pytest.mark.timeout(1200)


def run(image: str, *command: str) -> str:
    return docker("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", image, *command)


def test_image__is_run_by_nobody_special(image: str) -> None:
    assert int(run(image, "id", "-u")) >= 1000
    assert run(image, "find", "/app", "/opt/venv", "-writable", "!", "-type", "l") == ""


def test_image__holds_no_build_tools_no_secrets_and_no_tests(image: str) -> None:
    assert run(image, "sh", "-c", "command -v gcc cc g++ make git; ls /opt/venv/bin/pip*; true").strip() == ""
    assert run(image, "sh", "-c", "ls -A /app").split() == [
        "deploy",
        "events",
        "library",
        "manage.py",
        "project",
        "requirements",
        "workers",
    ]


def test_image__says_how_it_is_stopped_and_whether_it_is_well(image: str) -> None:
    [found] = json.loads(docker("image", "inspect", image))

    assert found["Config"]["StopSignal"] == "SIGTERM"
    assert found["Config"]["Healthcheck"]["Test"] == ["CMD", "python", "-I", "deploy/alive.py", "web"]
