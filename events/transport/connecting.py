"""Connections of our own, with short timeouts: kombu's default waits for a hung broker for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, current_app
from kombu import Connection, Producer
from kombu.pools import ProducerPool

# Connections of one process to the broker; threads beyond that wait for one.
_LIMIT = 32

_lock = threading.Lock()
# A fork must not share its parent's sockets: pools are kept per process.
_pools: dict[tuple[int, float], ProducerPool] = {}


def _begin_anew() -> None:
    global _lock  # noqa: PLW0603 - the parent's may be held by a thread that the fork doesn't have
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)


def celery_app() -> Celery:
    """The project's app: `Celery(…)` in its celery.py, made the default there with `app.set_default()`."""
    app: Celery = current_app._get_current_object()
    return app


def is_redis(connection: Connection) -> bool:
    """Or Valkey, which speaks as it does. All that is no Redis is taken for RabbitMQ."""
    return bool(connection.transport.driver_type == "redis")


def gives_back_at_once() -> bool:
    """Whether what a dead worker had in hand comes to the next one by itself, however many it kills."""
    return not is_redis(celery_app().connection_for_read())


def connection(timeout: float) -> Connection:
    """A connection that gives up after `timeout` seconds, whatever the broker does."""
    # Nothing is tried twice: whoever publishes leaves what failed to the relay, and the relay to its next round.
    limits: dict[str, Any] = {"max_retries": 0}
    if is_redis(celery_app().connection_for_write()):
        limits |= {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry_on_timeout": False}
        # What is compressed is no text.
        limits |= {"body_encoding": "base64"}
    else:
        limits |= {"read_timeout": timeout, "write_timeout": timeout, "confirm_publish": True}
    # No heartbeats: nobody would send them while nothing is published, and RabbitMQ would close the connection.
    return celery_app().connection_for_write(connect_timeout=timeout, heartbeat=0, transport_options=limits)


@contextmanager
def producer(timeout: float) -> Iterator[Producer]:
    """A producer from this process's pool; one that failed doesn't return to it."""
    key = (os.getpid(), timeout)
    with _lock:
        pool = _pools.get(key)
        if pool is None:
            connections = connection(timeout).Pool(_LIMIT)
            pool = _pools[key] = ProducerPool(connections, limit=_LIMIT)
    with pool.acquire(block=True, timeout=timeout) as lent:
        yield lent


def reset(timeout: float | None = None) -> None:
    """Drop pooled connections, all or those of this timeout: after a failure each of them may be dead."""
    with _lock:
        keys = [key for key in _pools if timeout is None or key == (os.getpid(), timeout)]
        dropped = [(pid, _pools.pop((pid, seconds))) for pid, seconds in keys]
    # A parent's are not ours to close: it talks through the same sockets.
    pools = [pool for pid, pool in dropped if pid == os.getpid()]
    for pool in pools:
        pool.connections.force_close_all()
