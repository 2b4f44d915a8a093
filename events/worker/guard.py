"""A message that is no message must not end a worker: kombu pops it, fails to read it, and Celery stops."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from django.db import DEFAULT_DB_ALIAS, Error

from events.delivery.failing import logger
from events.delivery.refusing import refuse
from events.worker.channels import pops

# What reading bytes that are not a message of kombu's raises; a lost connection raises none of them.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Guard(bootsteps.StartStopStep):  # type: ignore[misc]  # celery ships no types
    """Stands around the read of each connection's channel, a reconnection's too."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        parent.create_task_handler = partial(_guarded_handler, parent)
        parent.task_consumer.on_decode_error = partial(_refuse_unread, parent)
        channel = parent.task_consumer.channel
        if pops(channel):
            channel.handlers["BRPOP"] = _guarded(channel.handlers["BRPOP"])


def _guarded(read: Callable[..., Any]) -> Callable[..., Any]:
    def read_or_refuse(**options: Any) -> Any:
        try:
            return read(**options)
        except _UNREADABLE as error:
            record_refusal(f"Bytes on the queue that are no message: {error!r}")
            return True

    return read_or_refuse


def _refuse_unread(consumer: Any, message: Any, error: Exception) -> None:
    """What is said to be compressed, and isn't. Celery asks for its length first: without one, it kept its place."""
    record_refusal(f"A message that can't be read: {error!r}", message_id=str(message.delivery_tag))
    message.reject_log_error(logger, consumer.connection_errors)


def _guarded_handler(consumer: Any) -> Callable[[Any], Any]:
    """Celery's own, for a message whose parts are not what Celery takes them for."""
    handle = type(consumer).create_task_handler(consumer)

    def handle_or_refuse(message: Any) -> Any:
        try:
            return handle(message)
        except _UNREADABLE as error:
            record_refusal(f"A message that is none: {error!r}", message_id=str(message.delivery_tag))
            # Unacknowledged it would take one of the worker's places for ever, until none is left.
            message.reject_log_error(logger, consumer.connection_errors)
            return None

    return handle_or_refuse


def record_refusal(reason: str, **names: str) -> None:
    try:
        refuse(DEFAULT_DB_ALIAS, reason, **names)
    except Error as error:
        # The worker lives on; the log has it.
        logger.error("events.refused reason=%r error=%r", reason, error)
