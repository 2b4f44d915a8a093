from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from django.apps import apps

from events.flow.in_process import Synchronous, synchronous
from events.flow.naming import (
    event_types,
    left_at_home,
    order,
    shown_retry,
    shown_sender,
    shown_signal,
    shown_source,
)
from events.registry import Binding, registry

Guarantee = Literal["exactly once", "at least once", "in process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One receiver of one signal: a row of the table, an edge of the graph."""

    signal: str
    types: tuple[str, ...]
    sender: str
    # Its identity: the dotted path, unless it was given another name.
    receiver: str
    # "" for one that runs where the signal is sent.
    queue: str
    # The first line of the function's docstring.
    effect: str
    guarantee: Guarantee
    # All of the docstring.
    doc: str = ""
    # In words; "" for one that is not tried again.
    retry: str = ""
    # Where the function is: `workers/audit.py:12`.
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    routes: tuple[Route, ...]
    # Framework signal → its arguments that can't travel to a worker.
    left_out: dict[str, tuple[str, ...]]


def collect(only: Collection[str] = ()) -> Flow:
    """Everything, or the receivers of the apps labelled `only`; always in the same order."""
    bindings = [b for b in registry.bindings() if _is_wanted(b.receiver.function.__module__, only)]
    everywhere = synchronous([binding.signal for binding in registry.bindings()])
    in_place = [found for found in everywhere if _is_wanted(found.function.__module__, only)]
    routes = [*map(_offloaded, bindings), *map(_in_place, in_place)]
    signals = {binding.signal for binding in bindings} | {found.signal for found in in_place}
    left_out = {shown_signal(signal): left_at_home(signal) for signal in signals if left_at_home(signal)}
    return Flow(routes=tuple(sorted(routes, key=_place)), left_out=dict(sorted(left_out.items())))


def _in_place(found: Synchronous) -> Route:
    return Route(
        signal=shown_signal(found.signal),
        types=(),
        sender=shown_sender(found.sender) if found.is_sender_known else "one object",
        receiver=f"{found.function.__module__}.{found.function.__qualname__}",
        queue="",
        effect=found.effect(),
        guarantee="in process",
        doc=inspect.getdoc(found.function) or "",
        source=shown_source(found.function),
    )


def _offloaded(binding: Binding) -> Route:
    receiver = binding.receiver
    return Route(
        signal=shown_signal(binding.signal),
        types=event_types(binding.signal, binding.sender),
        sender=shown_sender(binding.sender),
        receiver=receiver.name,
        queue=receiver.route(),
        effect=receiver.effect(),
        guarantee="exactly once" if receiver.atomic else "at least once",
        doc=inspect.getdoc(receiver.function) or "",
        retry=shown_retry(receiver),
        source=shown_source(receiver.function),
    )


def _place(route: Route) -> tuple[object, ...]:
    return (*order(route.signal), route.sender, route.receiver)


def _is_wanted(module: str, only: Collection[str]) -> bool:
    config = apps.get_containing_app_config(module)
    return not only or (config is not None and config.label in only)
