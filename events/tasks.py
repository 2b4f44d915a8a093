"""Each receiver is a Celery task of its own name: routing, inspect and the result admin work as ever."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Ignore
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS

from events import transport
from events.delivery.concluding import Conclusion
from events.delivery.consuming import consume
from events.delivery.receiving import received
from events.delivery.refusing import refuse
from events.delivery.returning import return_message, return_redelivered
from events.exceptions import Refused, UnknownReceiver
from events.message import HEADER, RETURNED
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
        return _results().instead_of(self.app.backend) if _has_results() else self.app.backend

    def conclusion(self, using: str) -> Conclusion | None:
        """What stores this message's result along with its work on `using`."""
        return _results().conclusion_of(self, using) if _has_results() else None


def _has_results() -> bool:
    return apps.is_installed("django_celery_results")


def _results() -> ModuleType:
    from events.worker import results  # noqa: PLC0415 - the package may be missing

    return results


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
    is_returned = request.delivery_info.get("redelivered") or request.get(RETURNED)
    if is_returned and transport.gives_back_at_once():
        return {"elsewhere": return_redelivered(message)}
    conclusion = task.conclusion(message.using)
    try:
        tally = consume(message, conclusion, watched=True)
    except UnknownReceiver:
        # Disconnected since this process registered its task.
        return {"elsewhere": return_message(message)}
    if conclusion is not None and conclusion.stands:
        # Celery needn't store it again.
        request.ignore_result = True
    return tally.summary()
