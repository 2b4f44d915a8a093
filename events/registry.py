"""The receivers this process has imported, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from django.dispatch import Signal

from events.backoff import Backoff
from events.conf import settings
from events.exceptions import InvalidOffload, UnknownReceiver

Missing = Literal["skip", "retry", "none"]
Condition = Callable[..., bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A function that runs on a worker, and how."""

    name: str
    function: Callable[..., Any]
    queue: str = "default"
    aliases: tuple[str, ...] = ()
    retry: Backoff = field(default_factory=Backoff)
    give_up_on: tuple[type[BaseException], ...] = ()
    atomic: bool = True
    many: bool = False
    batch: int = 100
    missing: Missing = "skip"
    time_limit: float | None = None
    raw: bool = False

    def route(self) -> str:
        """The queue of its messages: EVENTS["ROUTES"] first, the longest matching prefix winning."""
        routes = settings.ROUTES
        if self.name in routes:
            return routes[self.name]
        prefixes = [key for key in routes if key.endswith("*") and self.name.startswith(key[:-1])]
        return routes[max(prefixes, key=len)] if prefixes else self.queue

    def seconds(self) -> float:
        return self.time_limit if self.time_limit is not None else settings.TIME_LIMIT

    def source_line(self) -> str:
        code = inspect.unwrap(self.function).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    def effect(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One `@offload` line: a receiver listens to a signal."""

    receiver: Receiver
    signal: Signal
    # A model class, "app.Model" or any other object that signals are sent by; None for all.
    sender: object
    when: Condition | None = None
    track: tuple[str, ...] = ()


class Registry:
    def __init__(self) -> None:
        self._receivers: dict[str, Receiver] = {}
        self._aliases: dict[str, Receiver] = {}
        self._bindings: list[Binding] = []
        self._listeners: list[Callable[[Receiver], None]] = []

    def add(self, receiver: Receiver) -> Receiver:
        """The receiver as registered; raises `InvalidOffload` where its name is taken by another."""
        known = self._receivers.get(receiver.name)
        if known is not None:
            return self._same(known, receiver)
        for name in (receiver.name, *receiver.aliases):
            if name in self._receivers or name in self._aliases:
                other = self._receivers.get(name) or self._aliases[name]
                raise InvalidOffload(
                    f"The name {name!r} of {receiver.source_line()} is taken by {other.source_line()}. "
                    f"Give one of them offload(…, name='…')."
                )
        self._receivers[receiver.name] = receiver
        self._aliases |= dict.fromkeys(receiver.aliases, receiver)
        for listener in self._listeners:
            listener(receiver)
        return receiver

    def _same(self, known: Receiver, again: Receiver) -> Receiver:
        if known == again:
            return known
        if known.function is again.function:
            raise InvalidOffload(
                f"{known.name!r} is offloaded twice with different options; a receiver is one Celery task: "
                f"only signal, sender, when and track may differ between its @offload lines."
            )
        raise InvalidOffload(
            f"Two receivers are called {known.name!r}: {known.source_line()} and {again.source_line()}. "
            f"Give one of them offload(…, name='…')."
        )

    def bind(self, binding: Binding) -> None:
        self._bindings.append(binding)

    def remove(self, function: Callable[..., Any]) -> list[Binding]:
        """Forget the receiver that runs `function`; its bindings are returned."""
        gone = [b for b in self._bindings if b.receiver.function is function]
        self._bindings = [b for b in self._bindings if b.receiver.function is not function]
        self._receivers = {n: r for n, r in self._receivers.items() if r.function is not function}
        self._aliases = {n: r for n, r in self._aliases.items() if r.function is not function}
        return gone

    def get(self, name: str) -> Receiver:
        """By name or alias. Raises `UnknownReceiver`."""
        found = self._receivers.get(name) or self._aliases.get(name)
        if found is None:
            raise UnknownReceiver(
                f"This process has imported no receiver {name!r}: is its module imported in AppConfig.ready(), "
                f"and is this version of the code the one that has it? A rename needs offload(aliases=…)."
            )
        return found

    def __contains__(self, name: str) -> bool:
        return name in self._receivers or name in self._aliases

    def __iter__(self) -> Iterator[Receiver]:
        return iter(sorted(self._receivers.values(), key=lambda receiver: receiver.name))

    def bindings(self) -> list[Binding]:
        return list(self._bindings)

    def names(self) -> list[str]:
        """Every name a message may carry for this process."""
        return sorted([*self._receivers, *self._aliases])

    def on_add(self, listener: Callable[[Receiver], None]) -> None:
        """Call `listener` for each receiver, those already here and those to come."""
        self._listeners.append(listener)
        for receiver in self:
            listener(receiver)


registry = Registry()
