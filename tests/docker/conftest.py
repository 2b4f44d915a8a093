"""Tests on a Docker engine: `make test-docker`. Without one they are skipped with the reason; in CI they fail then."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType

import pytest

from tests.docker.engine import Failed, docker, missing
from tests.docker.stack import HERE, ROOT


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"No Docker engine: {reason}")
        pytest.skip(f"no Docker engine: {reason}")


@pytest.fixture(scope="session", autouse=True)
def tidy_when_terminated() -> Iterator[None]:
    """As on Ctrl-C: every fixture removes what it has started."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def image(engine: None) -> Iterator[str]:
    """The project's image, built from this checkout under a name of this run."""
    name = f"library-test:{secrets.token_hex(4)}"
    docker("build", "--quiet", "--tag", name, str(ROOT))
    yield name
    _remove(name)


@pytest.fixture(scope="session")
def tests_image(image: str) -> Iterator[str]:
    """The same, with the tests' receivers and load on top."""
    name = f"{image}-tests"
    dockerfile = str(HERE / "Dockerfile")
    docker(
        "build", "--quiet", "--tag", name, "--build-arg", f"IMAGE={image}", "-f", dockerfile, str(HERE.parent)
    )
    yield name
    _remove(name)


def _remove(image: str) -> None:
    # Somebody may have removed it by hand.
    with suppress(Failed):
        docker("image", "rm", "--force", image)
