"""The project's own synchronous receivers, found where Django keeps them."""

from __future__ import annotations

import inspect
import sysconfig
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

from django.apps import apps
from django.contrib.auth import signals as auth
from django.core import signals as core
from django.db.backends import signals as backend
from django.db.models import signals as model
from django.dispatch import Signal
from django.test import signals as test

from events.signals import Event

_MODULES = (model, core, auth, backend, test)
# As Django's dispatcher spells "every sender" in its keys.
_EVERYBODY = id(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synchronous:
    """A function that is called where the signal is sent."""

    signal: Signal
    sender: object
    # False for a sender that is no model, app or class known by name.
    is_sender_known: bool
    function: Callable[..., Any]

    def effect(self) -> str:
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


def synchronous(more: Iterable[Signal] = ()) -> Iterator[Synchronous]:
    """Receivers of Django's signals, of the declared events and of `more`, from modules of the project's apps."""
    senders = _senders()
    for signal in dict.fromkeys([*_framework(), *declared_events(), *more]):
        # Django keeps (key of the receiver, key of the sender), the receiver itself or a weak reference, …
        for (_, sender_key), held, *_rest in signal.receivers:
            function = held() if isinstance(held, weakref.ReferenceType) else held
            if isinstance(function, FunctionType) and _is_ours(function.__module__):
                yield Synchronous(
                    signal=signal,
                    sender=senders.get(sender_key),
                    is_sender_known=sender_key in senders,
                    function=inspect.unwrap(function),
                )


def declared_events() -> list[Event[Any]]:
    """The named events in the `signals` modules of the installed apps, offloaded or not, by name."""
    found: dict[str, Event[Any]] = {}
    for config in apps.get_app_configs():
        path = f"{config.name}.signals"
        if config.label == "offload" or find_spec(path) is None:
            continue
        for value in vars(import_module(path)).values():
            if isinstance(value, Event) and value.name:
                found[value.name] = value
    return [found[name] for name in sorted(found)]


def _framework() -> list[Signal]:
    return [value for module in _MODULES for value in vars(module).values() if isinstance(value, Signal)]


def _senders() -> dict[int, object]:
    models = apps.get_models(include_auto_created=True, include_swapped=True)
    known: dict[int, object] = {id(each): each for each in (*models, *apps.get_app_configs())}
    return known | {_EVERYBODY: None}


@lru_cache(maxsize=512)
def _is_ours(module: str) -> bool:
    """Whether it belongs to an installed app of the project itself: neither Django, nor a package, nor the bus."""
    config = apps.get_containing_app_config(module)
    if config is None or config.label == "offload" or config.name.startswith("django."):
        return False
    packages = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    path = Path(config.path).resolve()
    return not any(path.is_relative_to(package) for package in packages)
