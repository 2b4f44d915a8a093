"""The relay's loop: in a worker's thread, or alone with `manage.py events relay`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

from django.db import Error, connections

from events.conf import settings
from events.databases import outbox_aliases
from events.delivery.waiting import begin_to_wait_briefly
from events.forking import not_forking_relay
from events.relay import behind, jobs, lease, metering
from events.relay.metering import Reader
from events.relay.news import note_broker
from events.relay.pacing import Pacing
from events.relay.pruning import Pruned, prune
from events.relay.rotation import in_turn
from events.relay.rounds import Round, turn

logger = logging.getLogger("events")

# Seconds between rounds: the latency of what the fast path left.
EVERY = 0.25
# While a backlog drains: whoever waits for a lock of ours has time to get it.
_SOONEST = 0.005
_AFTER_ERROR = 1.0
_TELL_EVERY = 60.0
# Seconds between two looks for a job, while none is due.
_JOBS_EVERY = 1.0
_PRUNE_EVERY = 3600.0
# A worker that is restarted every hour has to come to it too.
_FIRST_PRUNE = 60.0
# Between two readings of the figures: they are as old as that, at most.
_METER_EVERY = 5.0


class Relay:
    """`run()` blocks until `stop()` is called from another thread or a signal handler."""

    def __init__(self, every: float = EVERY) -> None:
        self.every = every
        self._pacing = Pacing(longest=every)
        self._stopping = threading.Event()
        self._started = time.monotonic()
        self._tell_at = self._started + _TELL_EVERY
        self._prune_at: dict[str, float] = {}
        self._pruning: dict[str, Iterator[Pruned]] = {}
        self._readers: dict[str, Reader] = {}
        self._meter_at: dict[str, float] = {}
        self._reading: dict[str, Iterator[None]] = {}
        self._jobs_at: dict[str, float] = {}
        # The outbox that a round began with.
        self._first = ""

    def run(self) -> None:
        begin_to_wait_briefly()
        logger.info("events.relay state=started aliases=%s", ",".join(outbox_aliases()))
        try:
            while not self._stopping.is_set():
                # It is let go of between two rounds: a fork must not wait for us to wait.
                with not_forking_relay:
                    pause = self._round()
                self._stopping.wait(pause)
        finally:
            self._leave()
            logger.info("events.relay state=stopped")

    def stop(self) -> None:
        self._stopping.set()

    def _round(self) -> float:
        """Seconds until the next."""
        pause, failed = self.every, False
        tell = time.monotonic() >= self._tell_at
        if tell:
            self._tell_at = time.monotonic() + _TELL_EVERY
        # What one leaves of a queue's window is for the others: each is first in turn.
        aliases = in_turn(outbox_aliases(), after=self._first)
        self._first = next(iter(aliases), "")
        for using in aliases:
            try:
                done = turn(using)
                pause = min(pause, self._pause_after(using, done))
                self._prune(using)
                self._tell(using, done)
                self._work(using)
                if tell:
                    behind.tell(using)
            except Error as error:
                # The database is away, or another relay's lock was in the way: nothing is half done.
                logger.warning("events.relay alias=%s error=%r remedy='again in a second'", using, error)
                connections[using].close()
                failed = True
            except Exception:
                # A relay that ended here would be missed by nobody until deliveries stand still.
                logger.exception("events.relay alias=%s remedy='again in a second'", using)
                connections[using].close()
                failed = True
        return _AFTER_ERROR if failed else pause

    def _pause_after(self, using: str, done: Round) -> float:
        due = [self._pacing.due(using, queue, fed) for queue, fed in done.fed.items()]
        if done.more:
            # For a queue that has nothing, one may lie behind the others.
            return _SOONEST
        return max(_SOONEST, min(due) - time.monotonic()) if due else self.every

    def _prune(self, using: str) -> None:
        if using not in self._pruning:
            if time.monotonic() < self._prune_at.get(using, self._started + _FIRST_PRUNE):
                return
            self._prune_at[using] = time.monotonic() + _PRUNE_EVERY
            self._pruning[using] = prune(using, settings.RETENTION_DAYS)
        # One slice in a round: the queues, and a fork, wait for no more than that.
        gone = next(self._pruning[using], None)
        if gone is None:
            del self._pruning[using]
        elif gone:
            logger.info("events.prune alias=%s gone=%s", using, gone)

    def _tell(self, using: str, done: Round) -> None:
        """What pages and metrics show. Nothing of it may hold up a delivery."""
        try:
            self._read_meter(using)
            note_broker(using, done.broker_error)
        except Error as error:
            logger.warning("events.meter alias=%s error=%r remedy='again in some seconds'", using, error)
            connections[using].close()
        except Exception:
            # Such as figures that another version stored in another form.
            logger.exception("events.meter alias=%s remedy='again in some seconds'", using)

    def _read_meter(self, using: str) -> None:
        if using not in self._reading:
            if time.monotonic() < self._meter_at.get(using, 0.0):
                return
            self._reading[using] = self._readers.setdefault(using, Reader(using)).read()
        try:
            # One step in a round, as of the prune.
            next(self._reading[using])
        except BaseException as end:
            # Ended or broken: the next one begins anew.
            del self._reading[using]
            self._meter_at[using] = time.monotonic() + _METER_EVERY
            if not isinstance(end, StopIteration):
                del self._readers[using]
                raise

    def _work(self, using: str) -> None:
        """A step of a job. Whatever becomes of it, deliveries don't wait for it."""
        if time.monotonic() < self._jobs_at.get(using, 0.0):
            return
        try:
            worked = jobs.work(using)
        except Error as error:
            logger.warning("events.job alias=%s error=%r remedy='again in a second'", using, error)
            connections[using].close()
            worked = False
        if not worked:
            self._jobs_at[using] = time.monotonic() + _JOBS_EVERY

    def _leave(self) -> None:
        for using in outbox_aliases():
            try:
                lease.leave(using)
                metering.leave(using)
            except Error:
                # It runs out by itself.
                logger.warning("events.relay alias=%s lease='left to expire'", using)
            connections[using].close()
