"""A signal's name: what an envelope calls it, and how a worker finds it again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from types import ModuleType

from django.contrib.auth import signals as auth
from django.core import signals as core
from django.db.backends import signals as backend
from django.db.models import signals as model
from django.dispatch import Signal
from django.test import signals as test

# Sent before the write, or wanted in place: what to use instead.
_IN_PLACE = {
    model.pre_init: "post_save",
    model.post_init: "post_save",
    model.pre_save: "post_save",
    model.pre_delete: "post_delete",
    model.class_prepared: "a synchronous receiver: it runs before any worker exists",
    model.pre_migrate: "a synchronous receiver: its work must be done before the migration",
    backend.connection_created: "a synchronous receiver: it prepares the connection it is given",
    test.setting_changed: "a synchronous receiver: tests need its effect at once",
    test.template_rendered: "a synchronous receiver: tests need its effect at once",
}

_MODULES = {
    "django.db.models.signals": model,
    "django.core.signals": core,
    "django.contrib.auth.signals": auth,
    "django.db.backends.signals": backend,
    "django.test.signals": test,
}


@cache
def signal_name(signal: Signal) -> str:
    """An event's own name, else the dotted path of the module-level name the signal is bound to."""
    name = getattr(signal, "name", None)
    if isinstance(name, str):
        return name
    found = _names(signal, _MODULES) or _names(signal, sys.modules)
    return min(found, key=_preference) if found else f"signal-{id(signal):x}"


def _names(signal: Signal, modules: Mapping[str, ModuleType]) -> list[str]:
    return [
        f"{path}.{attribute}"
        for path, module in list(modules.items())
        # A worker runs another program: what is defined in this one it can't import.
        if path != "__main__"
        for attribute, value in list(getattr(module, "__dict__", {}).items())
        if value is signal
    ]


def _preference(name: str) -> tuple[bool, int, str]:
    # Modules that import a signal hold it too, and each process has loaded others of them: the name must
    # depend on neither. Signals are defined in modules called "signals", or else at the shortest path.
    path = name.rpartition(".")[0]
    return path.rpartition(".")[2] != "signals", len(name), name


def is_named(signal: Signal) -> bool:
    return not signal_name(signal).startswith("signal-")


def instead_of(signal: Signal) -> str | None:
    """What to use where `signal` can't be offloaded; None where it can."""
    return _IN_PLACE.get(signal)
