"""What a person calls signals and senders. Nothing of it depends on the machine."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from django.apps import AppConfig
from django.core import signals as core
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_migrate, post_save
from django.dispatch import Signal

from events.capture import PROCESS_BOUND, m2m_field
from events.registry import Receiver
from events.signal_names import signal_name

# Framework signals in the order of a row's life, then a request's.
ORDER = (
    "class_prepared",
    "pre_init",
    "post_init",
    "pre_save",
    "post_save",
    "pre_delete",
    "post_delete",
    "m2m_changed",
    "pre_migrate",
    "post_migrate",
    "request_started",
    "request_finished",
    "got_request_exception",
    "setting_changed",
    "user_logged_in",
    "user_logged_out",
    "user_login_failed",
    "connection_created",
    "template_rendered",
)

_ARGUMENTS: dict[Signal, tuple[str, ...]] = {
    post_delete: ("instance", "using", "origin"),
    post_migrate: ("app_config", "verbosity", "interactive", "using", "stdout", "plan", "apps"),
    core.request_started: ("environ", "scope"),
}


def shown_signal(signal: Signal) -> str:
    """`post_save` for Django's, `library.book_read` for an event."""
    name = signal_name(signal)
    return name.rpartition(".")[2] if name.startswith("django.") else name


def order(shown: str) -> tuple[int, str]:
    return (ORDER.index(shown), "") if shown in ORDER else (len(ORDER), shown)


def event_types(signal: Signal, sender: Any) -> tuple[str, ...]:
    """The types of the events that come of it; a model's place is taken by a star where every sender's are meant."""
    if signal is m2m_changed:
        model, field = m2m_field(sender) if isinstance(sender, type) else ("*", "*")
        return tuple(f"{model}.{field}.{verb}" for verb in ("added", "removed", "cleared"))
    if signal in (post_save, post_delete):
        label = sender._meta.label_lower if _is_model(sender) else "*"
        verbs = ("created", "updated") if signal is post_save else ("deleted",)
        return tuple(f"{label}.{verb}" for verb in verbs)
    name = signal_name(signal)
    return (f"django.{name.rpartition('.')[2]}",) if name.startswith("django.") else (name,)


def shown_sender(sender: Any) -> str:
    if sender is None:
        return "any"
    if _is_model(sender):
        return _shown_model(sender)
    if isinstance(sender, type):
        return f"{sender.__module__}.{sender.__qualname__}"
    if isinstance(sender, AppConfig):
        return sender.name
    return sender if isinstance(sender, str) else type(sender).__name__


def left_at_home(signal: Signal) -> tuple[str, ...]:
    """Arguments of a framework signal that mean something in the sending process only."""
    return tuple(name for name in _ARGUMENTS.get(signal, ()) if name in PROCESS_BOUND)


def shown_source(function: Callable[..., Any]) -> str:
    """File and line, from the directory that the function's module is imported from."""
    code = inspect.unwrap(function).__code__
    path = PurePath(code.co_filename)
    parts = function.__module__.count(".") + (2 if path.stem == "__init__" else 1)
    return f"{PurePath(*path.parts[-parts:]).as_posix()}:{code.co_firstlineno}"


def shown_retry(receiver: Receiver) -> str:
    """`12 tries: after 1 s, each wait 3 times as long, at most 1 h`."""
    policy = receiver.retry
    if policy.tries == 1:
        return "1 try"
    waits = f"after {_seconds(policy.first)}"
    if policy.factor > 1 and policy.first < policy.limit:
        waits += f", each wait {policy.factor:g} times as long, at most {_seconds(policy.limit)}"
    given_up = ", ".join(sorted(error.__name__ for error in receiver.give_up_on))
    return f"{policy.tries} tries: {waits}" + (f"; none after {given_up}" if given_up else "")


def _seconds(number: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if number >= size and not number % size:
            return f"{number / size:g} {unit}"
    return f"{number:g} s"


def _is_model(sender: Any) -> bool:
    return isinstance(sender, type) and issubclass(sender, Model)


def _shown_model(model: type[Model]) -> str:
    if not model._meta.auto_created:
        return model._meta.label
    owner, field = m2m_field(model)
    return f"{owner}.{field}.through"
