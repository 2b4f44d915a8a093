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


def celery_app() -> Celery:
    """The project's app: `Celery(…)` in its celery.py, made the default there with `app.set_default()`."""
    app: Celery = current_app._get_current_object()
    return app


def connection(timeout: float) -> Connection:
    """A connection that gives up after `timeout` seconds, whatever the broker does."""
    limits: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    if celery_app().connection_for_write().transport.driver_type != "redis":
        limits = {"read_timeout": timeout, "write_timeout": timeout, "confirm_publish": True}
    return celery_app().connection_for_write(connect_timeout=timeout, transport_options=limits)


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


def reset() -> None:
    """Drop every pooled connection: after a failure all of them may be dead."""
    with _lock:
        pools = [pool for (pid, _), pool in _pools.items() if pid == os.getpid()]
        _pools.clear()
    for pool in pools:
        pool.connections.force_close_all()


def probe(timeout: float = 0.5) -> None:
    """Ask the broker for a connection and one answer; raises what it raises."""
    with connection(timeout) as fresh:
        fresh.ensure_connection(max_retries=1, timeout=timeout)
        channel = fresh.default_channel
        if fresh.transport.driver_type == "redis":
            channel.client.ping()
