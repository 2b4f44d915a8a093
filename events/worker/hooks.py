"""Celery's own signals, where a worker begins, ends and meets a message it doesn't know."""

from __future__ import annotations

import threading
from typing import Any

from celery import signals

from events.conf import settings
from events.identity import adopt
from events.relay.loop import Relay
from events.worker.guard import Guard, record_refusal
from events.worker.heartbeat import Heartbeat

_running: list[Heartbeat | Relay] = []


def connect() -> None:
    signals.worker_init.connect(prepare, dispatch_uid="events.worker")
    signals.worker_ready.connect(start, dispatch_uid="events.worker")
    signals.worker_shutdown.connect(stop, dispatch_uid="events.worker")
    signals.task_unknown.connect(record_unknown, dispatch_uid="events.worker")
    signals.task_rejected.connect(record_rejected, dispatch_uid="events.worker")


def prepare(sender: Any, **kwargs: Any) -> None:
    # Before the pool is made: its processes carry the name.
    adopt(sender.hostname)
    sender.app.steps["consumer"].add(Guard)


def start(sender: Any, **kwargs: Any) -> None:
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


def stop(**kwargs: Any) -> None:
    for part in reversed(_running):
        part.stop()
    _running.clear()


def record_unknown(name: str, id: str, **kwargs: Any) -> None:
    record_refusal(f"This worker knows no task {name!r}.", receiver=name, message_id=id)


def record_rejected(message: Any, exc: Exception | None = None, **kwargs: Any) -> None:
    reason = f"No message that a worker could run: {exc or 'of no known form'}"
    record_refusal(reason, message_id=str(message.delivery_tag))
