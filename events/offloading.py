"""`@offload`: a receiver that runs on a worker."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar, cast

from django.apps import apps
from django.db.models import Model
from django.dispatch import Signal

from events import bus, tracking
from events.backoff import Backoff
from events.exceptions import InvalidOffload
from events.registry import Binding, Condition, Missing, Receiver, registry
from events.signal_names import instead_of, is_named, signal_name

F = TypeVar("F", bound=Callable[..., Any])


def _offload(
    signal: Signal | Sequence[Signal],
    *,
    sender: object = None,
    queue: str = "default",
    name: str | None = None,
    aliases: Iterable[str] = (),
    when: Condition | None = None,
    retry: Backoff = Backoff(),  # noqa: B008 - frozen
    give_up_on: Iterable[type[BaseException]] = (),
    atomic: bool = True,
    many: bool = False,
    batch: int = 100,
    missing: Missing = "skip",
    time_limit: float | None = None,
    raw: bool = False,
    track: Iterable[str] = (),
) -> Callable[[F], F]:
    """Run the decorated receiver on a worker, once for each time `signal` is sent by `sender`.

    It keeps the signature of an ordinary Django receiver, is returned unchanged, and a plain call still
    runs it here. `atomic=True`: its database work and the record of its delivery commit together, exactly
    once; `atomic=False`, for mail, files and HTTP: at least once, with `event.idempotency_key`.

    name: its identity in messages, tables and task results; the dotted path by default.
    aliases: names it had before, whose deliveries are still on their way.
    when: `when(sender, **kwargs)` decides in the emitting process, before anything is stored.
    retry, give_up_on: when to try again; exceptions that go straight to the dead letters.
    many: it takes a list of occurrences, at most `batch`.
    missing: when a row among its arguments is gone: "skip", "retry", or "none" to be passed None.
    time_limit: seconds per event. raw: also for fixtures and migrations' historical models.
    track: fields whose values before the save come along in `event.changes`.

    Raises `InvalidOffload` at import for what can't run on a worker.
    """
    signals = [signal] if isinstance(signal, Signal) else list(signal)
    for each in signals:
        _check_signal(each)

    def decorate(function: F) -> F:
        receiver = Receiver(
            name=name or _dotted_path(function),
            function=_checked(function, many),
            queue=queue,
            aliases=tuple(aliases),
            retry=retry,
            give_up_on=tuple(give_up_on),
            atomic=atomic,
            many=many,
            batch=_checked_batch(batch),
            missing=_checked_missing(missing),
            time_limit=time_limit,
            raw=raw,
        )
        receiver = registry.add(receiver)
        for each in signals:
            _bind(receiver, each, sender, when, tuple(track))
        return function

    return decorate


def _disconnect(function: Callable[..., Any]) -> bool:
    """Forget the offloaded receiver; whether there was one. Its deliveries wait for a worker that has it."""
    gone = registry.remove(function)
    for binding in gone:
        bus.disconnect(binding)
    return bool(gone)


class Offload(Protocol):
    """`offload` itself: a decorator with a `disconnect`."""

    def __call__(
        self,
        signal: Signal | Sequence[Signal],
        *,
        sender: object = None,
        queue: str = "default",
        name: str | None = None,
        aliases: Iterable[str] = (),
        when: Condition | None = None,
        retry: Backoff = ...,
        give_up_on: Iterable[type[BaseException]] = (),
        atomic: bool = True,
        many: bool = False,
        batch: int = 100,
        missing: Missing = "skip",
        time_limit: float | None = None,
        raw: bool = False,
        track: Iterable[str] = (),
    ) -> Callable[[F], F]: ...

    disconnect: Callable[[Callable[..., Any]], bool]


offload = cast(Offload, _offload)
offload.disconnect = _disconnect


def _bind(
    receiver: Receiver, signal: Signal, sender: object, when: Condition | None, track: tuple[str, ...]
) -> None:
    def connect(model: object) -> None:
        if track:
            if not (isinstance(model, type) and issubclass(model, Model)):
                raise InvalidOffload(f"{receiver.name!r}: track= needs sender= a model.")
            tracking.track(model, track)
        binding = Binding(receiver=receiver, signal=signal, sender=model, when=when, track=track)
        registry.bind(binding)
        bus.connect(binding)

    if isinstance(sender, str):
        app_label, dot, model_name = sender.partition(".")
        if not dot:
            raise InvalidOffload(f"{receiver.name!r}: sender={sender!r} is no model; write it 'app.Model'.")
        apps.lazy_model_operation(connect, (app_label, model_name.lower()))
    else:
        connect(sender)


def _check_signal(signal: object) -> None:
    if not isinstance(signal, Signal):
        raise InvalidOffload(f"offload() takes a signal or a list of signals, got {signal!r}.")
    instead = instead_of(signal)
    if instead is not None:
        name = signal_name(signal).rpartition(".")[2]
        raise InvalidOffload(f"{name} can't be offloaded: it is sent before the write, or its result is needed "
                             f"in place. Use {instead}.")
    if not is_named(signal):
        # Names are found among the modules' attributes; one asked too early would be remembered as absent.
        signal_name.cache_clear()


def _checked(function: Any, many: bool) -> Any:
    path = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"
    if isinstance(function, functools.partial):
        raise InvalidOffload(f"A partial can't be offloaded: a worker could not find it. Write a function for {function}.")
    if not inspect.isfunction(function):
        raise InvalidOffload(f"{path}: only a module-level function can be offloaded, not a {type(function).__name__}.")
    if function.__name__ == "<lambda>":
        raise InvalidOffload(f"{path}: a lambda has no name that a worker could find. Write a function.")
    if "<locals>" in function.__qualname__:
        raise InvalidOffload(f"{path}: a nested function can't be found by a worker. Move it to module level.")
    if "." in function.__qualname__:
        raise InvalidOffload(f"{path}: a method can't be offloaded. Move it to module level.")
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    if not many and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise InvalidOffload(f"{path}: a receiver accepts **kwargs, as Django asks of every receiver.")
    return function


def _checked_batch(batch: int) -> int:
    if batch < 1:
        raise InvalidOffload(f"batch={batch}: a message carries at least one event.")
    return batch


def _checked_missing(missing: Missing) -> Missing:
    if missing not in ("skip", "retry", "none"):
        raise InvalidOffload(f"missing={missing!r} is none of 'skip', 'retry', 'none'.")
    return missing


def _dotted_path(function: Any) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"
