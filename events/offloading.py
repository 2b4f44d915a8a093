"""`@offload`: a receiver that runs on a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.apps import apps
from django.db.models import Model
from django.dispatch import Signal

from events import bus, eligible, tracking
from events.backoff import Backoff
from events.exceptions import InvalidOffload
from events.registry import Binding, Condition, Missing, Receiver, registry

F = TypeVar("F", bound=Callable[..., Any])


class Offload:
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
        signals = eligible.check_signals(signal)
        _check_sender(sender)
        if when is not None and not callable(when):
            raise InvalidOffload(f"when={when!r} must be callable: when=lambda sender, **kwargs: ….")
        renamed, tracked = eligible.check_texts("aliases", aliases), eligible.check_texts("track", track)

        def decorate(function: F) -> F:
            receiver = Receiver(
                name=eligible.dotted_path(function) if name is None else name,
                function=eligible.check_function(function, many=many),
                queue=queue,
                aliases=renamed,
                retry=retry,
                give_up_on=eligible.check_errors(give_up_on),
                atomic=atomic,
                many=many,
                batch=batch,
                missing=missing,
                time_limit=time_limit,
                raw=raw,
            )
            receiver = registry.add(eligible.check_options(receiver))
            for each in signals:
                _bind(receiver, each, sender, when, tracked)
            return function

        return decorate

    def disconnect(self, function: Callable[..., Any]) -> bool:
        """Forget the offloaded receiver; whether there was one. Its deliveries wait for a worker that has it."""
        gone = registry.remove(function)
        for binding in gone:
            bus.disconnect(binding)
        return bool(gone)


offload = Offload()


def _bind(
    receiver: Receiver, signal: Signal, sender: object, when: Condition | None, track: tuple[str, ...]
) -> None:
    def connect(model: object) -> None:
        if receiver.name not in registry:
            # Disconnected before its model was loaded.
            return
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
        # Shown by Django's own check of references to models that no app has.
        connect.__qualname__ = f"offload of {receiver.name!r}"
        apps.lazy_model_operation(connect, (app_label, model_name.lower()))
    else:
        connect(sender)


def _check_sender(sender: object) -> None:
    if isinstance(sender, (list, tuple, set, frozenset)):
        # Django compares senders by identity: nothing is ever sent by a list.
        raise InvalidOffload(f"sender={sender!r} is a collection; stack one @offload line per sender.")
