"""Whether the broker would take a message now."""

from __future__ import annotations

from typing import Any

from events.transport import rabbitmq
from events.transport.connecting import celery_app, connection, is_redis


def probe(timeout: float = 0.5) -> None:
    """Connect anew and try a write that changes nothing; raises what the broker's client raises."""
    with connection(timeout) as fresh:
        if is_redis(fresh):
            _write(fresh.default_channel)
        else:
            rabbitmq.try_to_publish(fresh, timeout)


def _write(channel: Any) -> None:
    """A PING is answered by a server that is full, read-only, or short of replicas, too; this is refused there.

    An insertion beside an element that isn't there. The key is one of kombu's own for the default queue, for a
    priority that we don't use: a list that no other has, and that an access list for kombu's keys lets us touch.
    """
    key = channel._q_for_pri(celery_app().conf.task_default_queue, channel.priority_steps[-1])
    try:
        # kombu's prefixing client doesn't know LINSERT: the key is spelled out.
        channel.client.execute_command("LINSERT", f"{channel.global_keyprefix}{key}", "BEFORE", "", "")
    except channel.ResponseError as error:
        if "permission" not in str(error):
            raise
        # An access list that names commands, and not this one: the answer itself is the best we can get.
