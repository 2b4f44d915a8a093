"""The receivers and what they listen to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.db.models import Model
from django.dispatch import Signal

from events.bus import SILENT_APPS
from events.checks.settings import suggestion
from events.conf import settings
from events.registry import Binding, Receiver, registry
from events.serializers.sensitive import is_sensitive_field
from events.signal_names import is_named, signal_name


@checks.register("offload")
def check_queues(**kwargs: Any) -> list[checks.CheckMessage]:
    return [*_unknown_queues(), *_idle_routes()]


def _unknown_queues() -> Iterator[checks.CheckMessage]:
    for receiver in registry:
        queue = receiver.route()
        if queue not in settings.QUEUES:
            remedy = 'Add it to EVENTS["QUEUES"], so that workers serve it, or send it to another by EVENTS["ROUTES"].'
            yield checks.Error(
                f"The receiver {receiver.name!r} ({receiver.source_line()}) runs on the queue {queue!r}, "
                f"which is not in EVENTS['QUEUES'].",
                hint=suggestion(queue, settings.QUEUES, remedy),
                id="offload.E005",
            )


def _idle_routes() -> Iterator[checks.CheckMessage]:
    names = registry.names()
    for route in settings.ROUTES:
        prefix = route[:-1] if route.endswith("*") else None
        matched = route in names if prefix is None else any(name.startswith(prefix) for name in names)
        if not matched:
            yield checks.Warning(
                f"EVENTS['ROUTES'] has {route!r}, which matches no receiver.",
                hint=suggestion(
                    route, names, "Prefixes end in '*'; `manage.py events list` shows the receivers."
                ),
                id="offload.W001",
            )


@checks.register("offload")
def check_signals(**kwargs: Any) -> list[checks.CheckMessage]:
    return [*_nameless_signals(), *_names_of_two()]


def _nameless_signals() -> Iterator[checks.CheckMessage]:
    for binding in registry.bindings():
        if not is_named(binding.signal):
            yield checks.Error(
                f"The receiver {binding.receiver.name!r} listens to a signal that no module holds by a name: "
                f"a worker could not find it.",
                hint="Bind the signal to a name at module level, or give it one: Event('app.what_happened').",
                id="offload.E006",
            )


def _names_of_two() -> Iterator[checks.CheckMessage]:
    signals: dict[str, set[Signal]] = defaultdict(set)
    for binding in registry.bindings():
        signals[signal_name(binding.signal)].add(binding.signal)
    for name, same in signals.items():
        if len(same) > 1:
            yield checks.Error(
                f"{len(same)} events are called {name!r}: a worker could not tell which of them was sent.",
                hint="Declare it once and import it where it is needed, or rename one of them.",
                id="offload.E007",
            )


@checks.register("offload")
def check_senders(**kwargs: Any) -> list[checks.CheckMessage]:
    models = [(binding, sender) for binding in registry.bindings() if (sender := _model(binding)) is not None]
    return [message for binding, model in models for message in _doubtful_sender(binding.receiver, model)]


def _model(binding: Binding) -> type[Model] | None:
    sender = binding.sender
    return sender if isinstance(sender, type) and issubclass(sender, Model) else None


def _doubtful_sender(receiver: Receiver, model: type[Model]) -> Iterator[checks.CheckMessage]:
    label = model._meta.label
    if model._meta.app_label in SILENT_APPS:
        yield checks.Warning(
            f"The receiver {receiver.name!r} listens to {label}, which never emits.",
            hint="The bus's own models and Celery's results stay silent, or handling an event would cause another.",
            id="offload.W002",
        )
    elif is_sensitive_field(model._meta.pk, model):
        yield checks.Warning(
            f"The receiver {receiver.name!r} listens to {label}, whose key {model._meta.pk.name!r} is sensitive: "
            f"it doesn't travel, so the receiver can't know which row it is about.",
            hint="Give the model a key that is no secret, or send an event of your own with what is needed.",
            id="offload.W003",
        )
