"""Fields of an older version of an event become those of today's, one step for each version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from events.exceptions import InvalidEvent, MissingUpcaster

Fields: TypeAlias = "dict[str, Any]"
Upcaster: TypeAlias = Callable[[Fields], Fields]
U = TypeVar("U", bound=Upcaster)


class Upcasters:
    def __init__(self, event: str, version: int) -> None:
        self._event = event
        self._version = version
        self._steps: dict[int, Upcaster] = {}

    def add(self, version: object, step: Upcaster) -> None:
        """The step from `version` to the next. Raises `InvalidEvent` where it leads nowhere, or there is one."""
        if type(version) is not int or not 0 < version < self._version:
            raise InvalidEvent(
                f"{self._event} is at version {self._version}: there is nothing to upcast from version "
                f"{version!r}. Raise version= where the event is declared, or leave out the upcaster."
            )
        if not callable(step):
            raise InvalidEvent(f"{self._event}: an upcaster is a function, got {step!r}.")
        known = self._steps.setdefault(version, step)
        if known is not step:
            raise InvalidEvent(
                f"{self._event} has two upcasters for version {version}: {_path(known)} and {_path(step)}. "
                f"Remove one of them."
            )

    def missing(self) -> list[int]:
        """The older versions that no step starts from."""
        return [version for version in range(1, self._version) if version not in self._steps]

    def applied(self, fields: Fields, version: int) -> Fields:
        """Raises `MissingUpcaster`, and what a step raises."""
        for step_from in range(version, self._version):
            fields = self._step(step_from, dict(fields))
        return fields

    def _step(self, version: int, fields: Fields) -> Fields:
        step = self._steps.get(version)
        if step is None:
            raise MissingUpcaster(
                f"{self._event} has no upcaster for version {version}, which this event needs to become version "
                f"{self._version}. Write one, @….upcast({version}), deploy it, and redeliver."
            )
        raised = step(fields)
        if not isinstance(raised, dict):
            raise InvalidEvent(
                f"{_path(step)} returned {type(raised).__name__}: an upcaster returns the dict of fields."
            )
        return raised


def _path(step: Upcaster) -> str:
    return f"{step.__module__}.{getattr(step, '__qualname__', repr(step))}"
