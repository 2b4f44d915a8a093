from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from events import offload


class Offloaded(Protocol):
    def __call__(self, function: Callable[..., Any], signal: Any, /, **options: Any) -> None: ...


@pytest.fixture
def offloaded() -> Iterator[Offloaded]:
    """Offload a module-level function for the length of a test."""
    functions = []

    def decorate(function: Callable[..., Any], signal: Any, /, **options: Any) -> None:
        functions.append(function)
        offload(signal, **options)(function)

    yield decorate
    for function in functions:
        offload.disconnect(function)
