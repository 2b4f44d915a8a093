"""A rebuilt instance refuses to be saved whole."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.db.models import Model

from events.exceptions import StaleInstance

M = TypeVar("M", bound=Model)

# Both are looked up on the instance before its class: the class, and every other instance, stay as they are.
_OVERRIDES = ("save", "__reduce__")


def guard(instance: M) -> M:
    """The same instance, whose `save()` (and so `asave()`) raises `StaleInstance` without `update_fields`."""
    guarded = _Guard(instance)
    instance.__dict__["save"] = guarded.save
    # Asked by `copy` and `deepcopy`: a copy needs a guard of its own, or its save() would save the original.
    instance.__dict__["__reduce__"] = guarded.reduce
    return instance


class _Guard:
    __slots__ = ("_instance", "_model")

    def __init__(self, instance: Model) -> None:
        # Weak: a strong one would make each rebuilt instance a cycle for the garbage collector.
        self._instance = weakref.ref(instance)
        self._model = type(instance)

    def save(self, *args: Any, **kwargs: Any) -> None:
        # Django 5.2 still takes it as the fourth positional argument.
        update_fields = kwargs.get("update_fields", args[3] if len(args) > 3 else None)
        instance = self._instance()
        if update_fields is None or instance is None:
            raise StaleInstance(
                f"This {self._model._meta.label} is as it was when the signal was sent: saving it would "
                f"overwrite a newer row or bring back a deleted one. Use event.refresh('instance') to have "
                f"the current one, or save(update_fields=[…]) to write only what you changed."
            )
        self._model.save(instance, *args, **kwargs)

    def reduce(self) -> tuple[Any, ...]:
        instance = cast("Model", self._instance())  # it is what asks
        made: tuple[Any, ...] = cast("Any", self._model.__reduce__(instance))
        make, args, state, *rest = made
        kept = {name: value for name, value in state.items() if name not in _OVERRIDES}
        return (_remake, (make, args), kept, *rest)


def _remake(make: Callable[..., Model], args: tuple[Any, ...]) -> Model:
    return guard(make(*args))
