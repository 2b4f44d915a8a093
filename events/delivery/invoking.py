"""Calling a receiver, and trusting nothing it leaves behind."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Sequence
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from billiard.common import terminate_handler_fired
from celery.exceptions import WorkerShutdown, WorkerTerminate
from django.db.backends.base.base import BaseDatabaseWrapper

from events import telemetry
from events.context import Cause, batch_of, caused_by
from events.delivery.memory import let_go
from events.delivery.occurrence import Occurrence
from events.delivery.resetting import is_in_transaction
from events.delivery.time_limit import interruptible
from events.exceptions import BrokenTransaction
from events.registry import Receiver

_DURABLE = "A durable atomic block cannot be nested"


def invoke(receiver: Receiver, occurrences: Sequence[Occurrence]) -> None:
    """Run the receiver for these: a receiver of one is given one. Raises what it raises."""
    if telemetry.is_on():
        with telemetry.spanned(receiver.name, [each.event for each in occurrences]):
            _invoke(receiver, occurrences)
    else:
        _invoke(receiver, occurrences)


def _invoke(receiver: Receiver, occurrences: Sequence[Occurrence]) -> None:
    if len(occurrences) > 1:
        # Many causes are no cause: what is emitted here starts a correlation of its own.
        with batch_of(receiver.name):
            _call(receiver, list(occurrences))
        return
    first = occurrences[0].event
    source = Cause(event_id=first.id, correlation_id=first.correlation_id, receiver=receiver.name)
    with caused_by(source, first.traceparent):
        if receiver.many:
            _call(receiver, list(occurrences))
        else:
            _call_one(receiver, occurrences[0])


def _call_one(receiver: Receiver, occurrence: Occurrence) -> None:
    _call(
        receiver,
        **{"sender": occurrence.sender, **occurrence.arguments},
        signal=occurrence.signal,
        event=occurrence.event,
    )


def _call(receiver: Receiver, /, *args: Any, **kwargs: Any) -> None:
    try:
        with interruptible():
            _run(receiver, *args, **kwargs)
    except MemoryError as error:
        let_go(error)
        raise
    except (SystemExit, CancelledError) as ending:
        if terminate_handler_fired() or isinstance(ending, (WorkerShutdown, WorkerTerminate)):
            # The worker's own end.
            raise
        raise RuntimeError(f"{receiver.name} ended with {ending!r}, which would end its worker.") from ending


def _run(receiver: Receiver, /, *args: Any, **kwargs: Any) -> None:
    function = receiver.function
    if iscoroutinefunction(function):
        async_to_sync(function)(*args, **kwargs)
        return
    try:
        function(*args, **kwargs)
    except RuntimeError as error:
        if _DURABLE in str(error):
            error.add_note(f"offload(atomic=True) runs {receiver.name} in a transaction: use atomic=False.")
        raise


def assert_sound(connection: BaseDatabaseWrapper) -> None:
    """Raises `BrokenTransaction` where a receiver swallowed a database error or closed the connection."""
    if connection.closed_in_transaction:
        raise BrokenTransaction("The receiver closed the database connection inside its transaction.")
    if not is_in_transaction(connection):
        raise BrokenTransaction("The receiver ended the transaction it runs in. Use offload(atomic=False).")
    if connection.needs_rollback:
        raise BrokenTransaction(
            "The receiver swallowed a database error: its transaction can only be rolled back. Catch it around "
            "a `with transaction.atomic():` of its own, or use offload(atomic=False)."
        )
