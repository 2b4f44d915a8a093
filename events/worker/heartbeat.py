"""The worker's own word, in a thread of its parent process: that it lives, and what it has in hand."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.worker import state as celery_state
from django.db import Error, connections
from django.db.models.functions import Now

from events.databases import outbox_aliases
from events.delivery.failing import recover
from events.delivery.waiting import begin_to_wait_briefly
from events.forking import not_forking_heartbeat
from events.identity import who
from events.message import HEADER, named
from events.models import Worker
from events.registry import registry
from events.worker.request import crashed, unstored
from events.worker.unknown import return_unknown

logger = logging.getLogger("events")

# Seconds. What is held is written when it changed, at most every TICK; a sign of life every BEAT.
TICK = 1.0
BEAT = 5.0


class Heartbeat(threading.Thread):
    def __init__(self, *, queues: list[str], processes: int) -> None:
        super().__init__(name="events-heartbeat", daemon=True)
        self._queues = queues
        self._processes = processes
        self._stopping = threading.Event()
        self._written: dict[str, tuple[float, list[list[str]]]] = {}

    def run(self) -> None:
        begin_to_wait_briefly()
        pause = 0.0
        while not self._stopping.wait(pause):
            with not_forking_heartbeat:
                self._tick()
            pause = TICK
        self._end()

    def stop(self) -> None:
        self._stopping.set()
        self.join(timeout=5)

    def _tick(self) -> None:
        # First: what crashed is no longer held, and must not be in neither for a moment.
        _try(self._recover)
        for using in outbox_aliases():
            # Each by itself: on the others the worker lives, though one is away.
            _try(partial(self._write, using))
        _try(return_unknown)

    def _recover(self) -> None:
        for _ in range(crashed.qsize()):
            header, reason = crashed.get_nowait()
            try:
                recover(header["using"], named(header.get("receiver"), header.get("ids")), reason)
            except Error as error:
                # The others, and the beat, come first; it comes again.
                logger.warning("events.heartbeat error=%r remedy='tried again in a second'", error)
                crashed.put((header, reason))
        for _ in range(unstored.qsize()):
            request, lost = unstored.get_nowait()
            try:
                request.store_result(lost)
            except Error as error:
                logger.warning("events.heartbeat error=%r remedy='tried again in a second'", error)
                unstored.put((request, lost))

    def _write(self, using: str) -> None:
        held = _held()[using]
        at, last = self._written.get(using, (float("-inf"), []))
        if held == last and time.monotonic() - at < BEAT:
            return
        row = Worker.objects.using(using).filter(pk=who())
        # Receivers too: a module imported late brings new ones.
        values = {"held": held, "receivers": registry.names(), "left_at": None}
        if not row.update(beat_at=Now(), **values):
            # The first beat, or one after a long sleep: a relay has buried us meanwhile.
            Worker.objects.using(using).create(
                pk=who(), queues=self._queues, processes=self._processes, **values
            )
        self._written[using] = (time.monotonic(), held)

    def _end(self) -> None:
        for using in outbox_aliases():
            try:
                Worker.objects.using(using).filter(pk=who()).delete()
            except Error:
                logger.warning("events.heartbeat alias=%s row='left to be buried by a relay'", using)
        connections.close_all()


def _try(part: Callable[[], None]) -> None:
    try:
        part()
    except Error as error:
        logger.warning("events.heartbeat error=%r remedy='tried again in a second'", error)
        connections.close_all()
    except Exception:
        # Without a beat a living worker would be buried: whatever it is, the next tick tries again.
        logger.exception("events.heartbeat remedy='tried again in a second'")
        connections.close_all()


def _held() -> dict[str, list[list[str]]]:
    """Alias → [receiver, event id] of all in the messages this worker has taken and not finished."""
    held: dict[str, list[list[str]]] = defaultdict(list)
    for request in _requests():
        header = request.request_dict.get(HEADER)
        if isinstance(header, dict):
            # Nobody has verified it yet.
            pairs = named(header.get("receiver"), header.get("ids"))
            held[str(header.get("using"))] += [[receiver, str(event)] for receiver, event in pairs]
    return held


def _requests() -> list[Any]:
    while True:
        try:
            return list(celery_state.reserved_requests)
        except RuntimeError:
            # The consumer's thread took another message meanwhile.
            continue
