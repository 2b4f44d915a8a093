"""Celery's own signals, where a worker begins, ends and meets a message it doesn't know."""

from __future__ import annotations

import gc
import logging
import threading
from typing import Any

from celery import signals

from events.conf import settings
from events.delivery import time_limit
from events.fast_path import fast_path
from events.identity import adopt
from events.registry import registry
from events.relay.loop import Relay
from events.worker.ahead import Ahead, note_received
from events.worker.guard import Guard, record_refusal
from events.worker.heartbeat import Heartbeat
from events.worker.in_hand import KeepInHand
from events.worker.renewing import renew_connections
from events.worker.unknown import Unknown

logger = logging.getLogger("events")

_running: list[Heartbeat | Relay] = []


def connect() -> None:
    signals.worker_init.connect(prepare, dispatch_uid="events.worker")
    signals.worker_ready.connect(start, dispatch_uid="events.worker")
    signals.worker_shutdown.connect(stop, dispatch_uid="events.worker")
    signals.worker_process_shutdown.connect(finish, dispatch_uid="events.worker")
    signals.task_received.connect(note_received, dispatch_uid="events.worker")
    signals.task_prerun.connect(begin, dispatch_uid="events.worker")
    signals.task_unknown.connect(record_unknown, dispatch_uid="events.worker")
    signals.task_rejected.connect(record_rejected, dispatch_uid="events.worker")


def prepare(sender: Any, **kwargs: Any) -> None:
    # Before the pool is made: its processes carry the name.
    adopt(sender.hostname)
    sender.app.steps["consumer"].update({Ahead, Guard, KeepInHand, Unknown})
    _keep_what_is_loaded()


def _keep_what_is_loaded() -> None:
    """A full collection of garbage would look at all of it, up to 100 ms in which nothing starts; and each process of
    the pool would get a copy of the pages that it writes to meanwhile.
    """
    gc.collect()
    gc.freeze()


def start(sender: Any, **kwargs: Any) -> None:
    if type(sender.pool).__module__ != "celery.concurrency.prefork":
        # Nothing but the end of a process stops a receiver that hangs in C.
        logger.warning(
            "events.worker pool=%s time_limit='is not enforced: a receiver that hangs holds it up' remedy='-P prefork'",
            type(sender.pool).__module__,
        )
    # After the pool is made: a fork takes no threads along, and these hold connections.
    heartbeat = Heartbeat(
        queues=[queue.name for queue in sender.task_consumer.queues],
        processes=max(1, sender.pool.num_processes or 1),
    )
    heartbeat.start()
    _running.append(heartbeat)
    if settings.RELAY:
        relay = Relay()
        threading.Thread(target=relay.run, name="events-relay", daemon=True).start()
        _running.append(relay)


def begin(task: Any, **kwargs: Any) -> None:
    """Before Celery stores that the task has started."""
    if task.request.is_eager:
        return
    ours = task.name in registry
    renew_connections(trusting=ours)
    time_limit.prepare(ours=ours)


def stop(**kwargs: Any) -> None:
    for part in reversed(_running):
        part.stop()
    _running.clear()


def finish(**kwargs: Any) -> None:
    # A pool process ends without Python's own exit handlers: what its receivers emitted last would be late.
    fast_path.finish()


# Of another app, or of none: the bus's own are put back by events.worker.unknown.
def record_unknown(name: str, id: str, **kwargs: Any) -> None:
    record_refusal(f"This worker knows no task {name!r}.", receiver=name, message_id=id)


def record_rejected(message: Any, exc: Exception | None = None, **kwargs: Any) -> None:
    reason = f"No message that a worker could run: {exc or 'of no known form'}"
    record_refusal(reason, message_id=str(message.delivery_tag))
