"""Events whose declaration was raised: whether older ones, still on their way, can become it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks

from events.flow.in_process import declared_events
from events.registry import registry
from events.signals import Event


@checks.register("offload")
def check_upcasters(**kwargs: Any) -> list[checks.CheckMessage]:
    bound = [b.signal for b in registry.bindings() if isinstance(b.signal, Event)]
    return [message for event in dict.fromkeys([*declared_events(), *bound]) for message in _chain(event)]


def _chain(event: Event[Any]) -> Iterator[checks.CheckMessage]:
    absent = event.versions_without_upcaster()
    oldest = min(set(range(1, event.version)) - set(absent), default=event.version)
    for version in absent:
        if version > oldest:
            yield checks.Error(
                f"The event {event.name!r} has an upcaster for version {oldest} and none for version {version}: "
                f"older events can't become version {event.version}.",
                hint=f"Decorate the function that raises them by one version with .upcast({version}).",
                id="offload.E019",
            )
        else:
            yield checks.Warning(
                f"The event {event.name!r} is at version {event.version} and has no upcaster for version {version}: "
                f"those still on their way would end as dead letters.",
                hint=f"Decorate a function with .upcast({version}), or silence this when none of them is left.",
                id="offload.W007",
            )
