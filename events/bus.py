"""Emit: what a signal's `send()` does for its offloaded receivers.

One synchronous publisher listens to each (signal, sender), however many receivers are offloaded. It applies
`when`, takes the snapshot, and appends the event to the journal of the transaction it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.core.signals import setting_changed
from django.db.models import Model
from django.db.models.signals import m2m_changed
from django.dispatch import Signal

from events import fixtures
from events.capture import Capture, capture
from events.context import is_muted
from events.databases import outbox_for
from events.fast_path import fast_path
from events.journal import journal_of
from events.occasion import Occasion
from events.outbox import Emission
from events.registry import Binding

# Their own rows never emit: a delivery that causes an event that causes a delivery has no end.
SILENT_APPS = frozenset({"offload", "django_celery_results"})

Observer = Callable[[Emission, str], None]
_observers: list[Observer] = []


class _Heard(NamedTuple):
    """Who listens to the signals of a sender."""

    bindings: Sequence[Binding]
    # Of all of them.
    routes: Mapping[str, str]
    # Whether one of them has a condition.
    asks: bool


class Publisher:
    """The one synchronous receiver of a (signal, sender); `everyone` is the one of the same signal and no sender."""

    # A robust send hands what it raises to the sender, instead of swallowing it: see events.signals.
    emits_events = True

    def __init__(self, signal: Signal, sender: object) -> None:
        # Django's log of a robust send asks every receiver for it.
        self.__qualname__ = "offloaded receivers"
        self.signal = signal
        self.sender = sender
        self.bindings: list[Binding] = []

    def __call__(self, sender: object, signal: Signal | None = None, **arguments: Any) -> None:
        if is_muted() or _is_before(self.signal, arguments):
            return
        heard = _heard.get(self) or self._hear(sender)
        routes = heard.routes
        raw = _is_raw(sender, arguments)
        if raw or heard.asks:
            chosen = [
                b
                for b in heard.bindings
                if (not raw or b.receiver.raw) and (b.when is None or b.when(sender, **arguments))
            ]
            routes = _routed(chosen)
        if routes:
            _emit(self.signal, sender, arguments, routes)

    def _hear(self, sender: object) -> _Heard:
        # Taken first: another thread may connect a receiver meanwhile, and what it forgets must not come back.
        memory = _heard
        bindings = [] if _is_silent(sender) else self._listening(sender)
        heard = _Heard(bindings, _routed(bindings), any(b.when is not None for b in bindings))
        if self.sender is not None:
            memory[self] = heard
        return heard

    def _listening(self, sender: object) -> list[Binding]:
        own = _publishers.get((self.signal, _key(sender))) if self.sender is None else self
        everyone = _publishers.get((self.signal, _key(None)))
        if own is None or own is everyone:
            return self.bindings
        if own is not self:
            # The publisher of this very sender emits for us too: one occurrence is one event.
            return []
        return self.bindings + everyone.bindings if everyone else self.bindings


_publishers: dict[tuple[Signal, int], Publisher] = {}


def _key(sender: object) -> int:
    # As Signal does it: senders need not be hashable. The publisher keeps its sender alive.
    return id(sender)


def connect(binding: Binding) -> None:
    key = (binding.signal, _key(binding.sender))
    publisher = _publishers.get(key)
    if publisher is None:
        publisher = _publishers[key] = Publisher(binding.signal, binding.sender)
        uid = f"events.bus.{key[1]}"
        binding.signal.connect(publisher, sender=binding.sender, weak=False, dispatch_uid=uid)
        if binding.signal is m2m_changed:
            fixtures.watch(binding.sender)
    publisher.bindings.append(binding)
    # Another receiver may have borne its name.
    _forget_routes()


def disconnect(binding: Binding) -> None:
    key = (binding.signal, _key(binding.sender))
    publisher = _publishers.get(key)
    if publisher is None:
        return
    publisher.bindings = [b for b in publisher.bindings if b is not binding]
    if not publisher.bindings:
        del _publishers[key]
        binding.signal.disconnect(sender=binding.sender, dispatch_uid=f"events.bus.{key[1]}")
    _forget_routes()


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Within it `observer(emission, alias)` is called for every event as it is emitted, in any thread."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def _emit(signal: Signal, sender: object, arguments: Mapping[str, Any], routes: Mapping[str, str]) -> None:
    using = arguments.get("using")
    # A custom signal's argument of that name may be anything.
    using = outbox_for(using if isinstance(using, str) else None)
    emission = _emission(signal, capture(signal, sender, arguments), routes)
    for observer in _observers:
        emission.observed = True
        observer(emission, using)
    journal_of(using, fast_path).append(emission)


def _emission(signal: Signal, capture: Capture, routes: Mapping[str, str]) -> Emission:
    occasion = Occasion.now(capture, getattr(signal, "version", 1))
    if capture.may_wait:
        return Emission(routes, occasion, capture.size())
    return Emission.written(occasion.content(), routes)


# Names of receivers → each one's queue: made once for all events of the same receivers.
_routes: dict[tuple[str, ...], Mapping[str, str]] = {}
# Of publishers with a sender, which none but its signals reach.
_heard: dict[Publisher, _Heard] = {}


def _routed(chosen: Sequence[Binding]) -> Mapping[str, str]:
    names = tuple([binding.receiver.name for binding in chosen])
    routes = _routes.get(names)
    if routes is None:
        routes = _routes[names] = {b.receiver.name: b.receiver.route() for b in chosen}
    return routes


def _forget_routes() -> None:
    global _heard  # noqa: PLW0603 - see Publisher._hear
    _routes.clear()
    _heard = {}


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "EVENTS":
        _forget_routes()


setting_changed.connect(_forget, dispatch_uid="events.bus")


def _is_silent(sender: object) -> bool:
    return isinstance(sender, type) and issubclass(sender, Model) and sender._meta.app_label in SILENT_APPS


def _is_before(signal: Signal, arguments: Mapping[str, Any]) -> bool:
    return signal is m2m_changed and arguments["action"].startswith("pre_")


def _is_raw(sender: object, arguments: Mapping[str, Any]) -> bool:
    # "__fake__" is the module of a migration's historical models.
    if bool(arguments.get("raw")) or getattr(sender, "__module__", "") == "__fake__":
        return True
    return "action" in arguments and fixtures.is_raw(arguments.get("instance"))
