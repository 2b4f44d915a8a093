"""A message for a task that this worker's code doesn't have: Celery would discard it, and keep a failed result."""

from __future__ import annotations

import logging
import queue
from functools import partial
from typing import Any

from celery import bootsteps
from django.db import InterfaceError, OperationalError
from django.db.utils import DEFAULT_DB_ALIAS

from events.delivery.receiving import received
from events.delivery.refusing import refuse
from events.delivery.returning import return_message
from events.exceptions import Refused
from events.message import HEADER, Message
from events.worker.guard import record_refusal

logger = logging.getLogger("events")

# Taken off the broker, and not put back yet: the heartbeat's thread does it, which may wait for the database.
_set_aside: queue.SimpleQueue[Any] = queue.SimpleQueue()


class Unknown(bootsteps.StartStopStep):  # type: ignore[misc]  # celery ships no types
    """Stands in for the consumer's own method; each connection asks for it anew."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        parent.on_unknown_task = partial(_on_unknown_task, parent)


def _on_unknown_task(consumer: Any, body: Any, message: Any, error: Exception) -> None:
    if isinstance(message.headers.get(HEADER), dict):
        # Off the broker before it is put back: killed in between, the relay finds it in neither.
        message.reject_log_error(logger, consumer.connection_errors)
        _set_aside.put(message)
        return
    try:
        type(consumer).on_unknown_task(consumer, body, message, error)
    except consumer.connection_errors:
        raise
    except Exception as trouble:  # noqa: BLE001 - the result's database may be away, and would end the worker
        record_refusal(f"A message for a task that this worker doesn't know, and {trouble!r}")


def return_unknown() -> None:
    """Put back what was set aside since the last time; what a database that is away refuses comes again."""
    for _ in range(_set_aside.qsize()):
        message = _set_aside.get_nowait()
        try:
            _return(message)
        except (InterfaceError, OperationalError):
            _set_aside.put(message)
            raise


def _return(raw: Any) -> None:
    name, id = str(raw.headers["task"]), str(raw.headers.get("id"))
    try:
        message = _verified(raw, name, id)
    except Refused as error:
        refuse(
            DEFAULT_DB_ALIAS,
            f"For a task this worker doesn't know, and {error}",
            receiver=name,
            message_id=id,
        )
        return
    return_message(message)


def _verified(raw: Any, name: str, id: str) -> Message:
    try:
        envelopes = raw.payload[0]
    except Exception as error:
        # Whatever the reading of a stranger's body raises.
        raise Refused(f"its body can't be read: {error!r}") from error
    return received(raw.headers[HEADER], envelopes, task=name, id=id)
