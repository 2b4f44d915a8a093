"""What can be offloaded, and how: everything else is refused where it is written, at import."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from inspect import Parameter
from typing import Any

from django.dispatch import Signal

from events.backoff import Backoff
from events.exceptions import InvalidOffload
from events.message import MOST_EVENTS
from events.registry import Receiver
from events.signal_names import instead_of, is_named, signal_name

# Characters, as the tables hold them.
_NAME = 200
_QUEUE = 100


def check_signals(given: object) -> list[Signal]:
    """The signals. Raises `InvalidOffload`, as all here do."""
    signals = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if not signals:
        raise InvalidOffload("offload() takes a signal or a list of signals, got an empty list.")
    return [_checked_signal(signal) for signal in signals]


def _checked_signal(signal: object) -> Signal:
    if not isinstance(signal, Signal):
        raise InvalidOffload(
            f"offload() takes a signal or a list of signals, got {signal!r}: write @offload(post_save, …)."
        )
    instead = instead_of(signal)
    if instead is not None:
        name = signal_name(signal).rpartition(".")[2]
        raise InvalidOffload(
            f"{name} can't be offloaded: it is sent before the write, or its result is needed in place. "
            f"Use {instead}."
        )
    if not is_named(signal):
        # Names are found among the modules' attributes; one asked too early would be remembered as absent.
        signal_name.cache_clear()
    return signal


def check_function(function: Any, *, many: bool) -> Callable[..., Any]:
    path = dotted_path(function)
    if isinstance(function, functools.partial):
        raise InvalidOffload(
            f"A partial can't be offloaded: a worker could not find it. Write a function for {function}."
        )
    if not inspect.isfunction(function):
        kind = type(function).__name__
        raise InvalidOffload(
            f"{path}: only a module-level function can be offloaded, not a {kind}. Write a function that calls it."
        )
    if function.__name__ == "<lambda>":
        raise InvalidOffload(f"{path}: a lambda has no name that a worker could find. Write a function.")
    if "<locals>" in function.__qualname__:
        raise InvalidOffload(
            f"{path}: a nested function can't be found by a worker. Move it to module level."
        )
    if "." in function.__qualname__:
        raise InvalidOffload(f"{path}: a method can't be offloaded. Move it to module level.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidOffload(
            f"{path}: a generator can't be offloaded: calling it runs nothing. Take out the yield."
        )
    _check_parameters(function, path, many=many)
    return function


def _check_parameters(function: Callable[..., Any], path: str, *, many: bool) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    if many:
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if not positional or _demanded(parameters) - {positional[0].name}:
            raise InvalidOffload(
                f"{path}: with many=True a receiver takes one argument, the list of occurrences."
            )
    elif all(p.kind is not p.VAR_KEYWORD for p in parameters):
        raise InvalidOffload(f"{path}: a receiver accepts **kwargs, as Django asks of every receiver.")


def _demanded(parameters: Iterable[Parameter]) -> set[str]:
    variable = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    return {p.name for p in parameters if p.default is p.empty and p.kind not in variable}


def check_options(receiver: Receiver) -> Receiver:
    for problem in (*_misnamed(receiver), *_problems(receiver)):
        raise InvalidOffload(f"{receiver.name!r}: {problem}")
    return receiver


def _misnamed(receiver: Receiver) -> Iterator[str]:
    for name in (receiver.name, *receiver.aliases):
        if not isinstance(name, str) or not 0 < len(name) <= _NAME:
            yield f"a receiver's name is a text of 1 to {_NAME} characters, not {name!r:.40}."
        elif name != name.strip():
            # MySQL compares texts without them.
            yield f"a receiver's name begins and ends without a blank, not {name!r:.40}."
    if not isinstance(receiver.queue, str) or not 0 < len(receiver.queue) <= _QUEUE:
        yield f"queue={receiver.queue!r} must be the name of a queue, of 1 to {_QUEUE} characters."


def _problems(receiver: Receiver) -> Iterator[str]:
    for option in ("atomic", "many", "raw"):
        if not isinstance(given := getattr(receiver, option), bool):
            yield f"{option}={given!r} must be True or False."
    if not isinstance(receiver.retry, Backoff):
        yield f"retry={receiver.retry!r} must be a Backoff: retry=Backoff(tries=5)."
    if not _is_whole(receiver.batch) or receiver.batch < 1:
        yield f"batch={receiver.batch!r}: a message carries at least one event."
    elif receiver.batch > MOST_EVENTS:
        yield f"batch={receiver.batch!r}: a message carries at most {MOST_EVENTS} events."
    if receiver.missing not in ("skip", "retry", "none"):
        yield f"missing={receiver.missing!r} is none of 'skip', 'retry', 'none'."
    if receiver.time_limit is not None and not _is_duration(receiver.time_limit):
        yield f"time_limit={receiver.time_limit!r} must be a number of seconds above 0, or None."
    for error in receiver.give_up_on:
        if not (isinstance(error, type) and issubclass(error, BaseException)):
            yield f"give_up_on holds {error!r}, which is no exception class: give_up_on=(ValueError,)."


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_texts(option: str, given: object) -> tuple[str, ...]:
    """A tuple of texts: a bare one would be taken for its letters."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidOffload(f"{option}={given!r} must be a tuple of texts: {option}=({given!r},).")
    texts = tuple(given)
    if not all(isinstance(text, str) and text for text in texts):
        raise InvalidOffload(f"{option}={texts!r} must be a tuple of texts.")
    return texts


def check_errors(given: object) -> tuple[Any, ...]:
    """`except` takes a class or a tuple of them, and so do we."""
    return tuple(given) if isinstance(given, Iterable) else (given,)


def dotted_path(function: Any) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
