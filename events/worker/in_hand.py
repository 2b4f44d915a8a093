"""Messages of the bus that a worker has in hand are copied nowhere: see events.transport.in_hand."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from events.message import HEADER
from events.registry import registry
from events.worker.channels import pops


class KeepInHand(bootsteps.StartStopStep):  # type: ignore[misc]  # celery ships no types
    """Of each connection, a reconnection's too: before anything is taken."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        channel = parent.task_consumer.channel
        if pops(channel):
            from events.transport.in_hand import keep_in_memory  # noqa: PLC0415 - needs the broker's client

            keep_in_memory(channel, _is_ours)


def _is_ours(message: Any) -> bool:
    """Whether it is for a receiver that this worker knows: no other app's, whatever its headers say."""
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get(HEADER), dict):
        return False
    task = headers.get("task")
    return isinstance(task, str) and task in registry
