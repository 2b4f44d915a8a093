"""What events of the same signal, sender and arguments have in common, whatever their instance."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.core.signals import setting_changed
from django.db.models import Model
from django.dispatch import Signal

from events.capture.captured import UNCAPTURED
from events.capture.naming import framework_type, model_type, settled
from events.serializers import dump_value, is_sensitive
from events.signal_names import signal_name

logger = logging.getLogger("events")

# Arguments of Django's own signals that mean something in the sending process only.
PROCESS_BOUND = frozenset({"environ", "scope", "apps", "plan", "origin", "app_config", "stdout"})

# Types of most arguments of a model's own signals, which JSON has.
_PLAIN = frozenset({bool, type(None)})


class Frame(NamedTuple):
    type: str
    data: dict[str, Any]
    left_out: list[str]
    failed: list[str]

    def at_home(self, withheld: Sequence[str]) -> dict[str, list[str]]:
        """What doesn't travel: of these, and `withheld` of the instance."""
        if not (withheld or self.left_out or self.failed):
            return {}
        withheld = tuple(dict.fromkeys(withheld))
        said = {"withheld": [*withheld, *self.left_out, *self.failed]}
        if withheld or self.failed:
            # What should have travelled: counted by events.operations.uncaptured.
            said[UNCAPTURED] = [*withheld, *self.failed]
        return said


def frame(
    signal: Signal, sender: object, model: type[Model] | None, arguments: tuple[tuple[str, Any], ...]
) -> Frame:
    name, named = signal_name(signal), dict(arguments)
    is_django = name.startswith("django.")
    dumped, left_out, failed = _dump_arguments(named, lenient=is_django)
    data: dict[str, Any] = {"signal": name, "sender": dump_sender(sender)}
    if model is not None:
        data["model"] = model._meta.label
        kind = model_type(signal, sender, named)
    else:
        kind = framework_type(name) if is_django else name
    data["args"] = dumped
    return Frame(kind, data, left_out, failed)


# For Django's own arguments: of those that are equal, each is the same as the others, as 1 is not the same as True.
frame_once = lru_cache(maxsize=1024)(frame)


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EVENTS":
        frame_once.cache_clear()


setting_changed.connect(_forget, dispatch_uid="events.capture")


def _dump_arguments(
    arguments: Mapping[str, Any], *, lenient: bool
) -> tuple[dict[str, Any], list[str], list[str]]:
    """What travels; what stays at home, as it should; what could not be captured."""
    dumped, left_out, failed = {}, [], []
    for name, value in arguments.items():
        if is_sensitive(name) or (lenient and name in PROCESS_BOUND):
            left_out.append(name)
            continue
        if type(value) in _PLAIN:
            dumped[name] = value
            continue
        try:
            dumped[name] = dump_value(settled(value), path=name)
        except Exception as error:
            if not lenient:
                raise
            # Whatever it is: a login must not fail because of us.
            logger.warning("events.withheld argument=%s reason=%s", name, error)
            failed.append(name)
    return dumped, left_out, failed


def dump_sender(sender: object) -> Any:
    """A model or class by name, a string as it is; any other object means nothing on a worker."""
    if isinstance(sender, type):
        model = getattr(sender, "_meta", None)
        if model is not None and issubclass(sender, Model):
            return {"model": model.label}
        return {"class": f"{sender.__module__}.{sender.__qualname__}"}
    if isinstance(sender, Model):
        return {"value": dump_value(sender, path="sender")}
    return {"value": sender} if isinstance(sender, str) else None
