"""Each receiver is a Celery task of its own name: routing, inspect and the result admin work as ever."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task
from celery.exceptions import Ignore
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS

from events.delivery.consuming import Tally, consume
from events.delivery.receiving import received
from events.delivery.refusing import refuse
from events.delivery.returning import return_message
from events.exceptions import Refused, UnknownReceiver
from events.message import HEADER
from events.registry import Receiver, registry


class ReceiverTask(Task):  # type: ignore[misc]  # celery ships no types
    """A message is acknowledged when it is worked off; if its process dies, the relay sends what is left."""

    abstract = True
    Request = "events.worker.request:ReceiverRequest"
    acks_late = True
    reject_on_worker_lost = False
    acks_on_failure_or_timeout = True
    ignore_result = False
    # What began is on the delivery's record; and who forges messages must not leave a row for each of them.
    track_started = False
    # Ours are kept in the database: see events.backoff.
    max_retries = 0

    @property
    def backend(self) -> Any:
        backend = self.app.backend
        if not apps.is_installed("django_celery_results"):
            return backend
        from events.worker.results import instead_of  # noqa: PLC0415 - the package may be missing

        return instead_of(backend)


def install() -> None:
    """Register every receiver, those of today and those to come, with every Celery app."""
    registry.on_add(_register)


def _register(receiver: Receiver) -> None:
    for name in (receiver.name, *receiver.aliases):
        shared_task(deliver, name=name, base=ReceiverTask, bind=True)


def deliver(task: Any, *envelopes: str) -> dict[str, int]:
    """Work off a message; the counts of what became of its deliveries, as task results show them."""
    request = task.request
    try:
        message = received(request.get(HEADER), envelopes, task=task.name, id=request.id)
    except Refused as error:
        refuse(DEFAULT_DB_ALIAS, str(error), receiver=task.name, message_id=request.id or "")
        # No result: its sender, who is nobody of ours, chose the id of that row.
        raise Ignore from error
    try:
        return summary(consume(message))
    except UnknownReceiver:
        # Disconnected since this process registered its task.
        return {"elsewhere": return_message(message)}


def summary(tally: Tally) -> dict[str, int]:
    counts = {name: getattr(tally, name) for name in tally.__slots__}
    return {name: count for name, count in counts.items() if count}
