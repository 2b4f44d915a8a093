"""A receiver that fails nearly always is parked until a probe succeeds. docs/decisions/0014-kill-switch.md."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from django.db import Error, transaction
from django.db.models.functions import Now

from events import pauses
from events.clock import after
from events.conf import settings
from events.deeds import Deed
from events.models import PausedReceiver
from events.notices import receiver_parked, receiver_recovered
from events.registry import Receiver
from events.texts import storable

logger = logging.getLogger("events")

# Who parked it, as records of actions name a person.
BY = "kill switch"
# Seconds after which an outcome says nothing about now.
_OLD = 300.0

# Receiver and alias → when each of its last runs in this process ended, and whether it failed.
_last: dict[tuple[str, str], deque[tuple[float, bool]]] = {}


class Unwatched:
    """For whoever runs a message outside a worker: nothing is counted, nothing parked."""

    parked = False

    def worked(self, done: int, skipped: int = 0) -> None: ...

    def failed(self, error: BaseException) -> None: ...


UNWATCHED = Unwatched()


class KillSwitch(Unwatched):
    """Watches one message; what it counts is the process's."""

    def __init__(self, receiver: Receiver, using: str, *, probe: UUID | None = None) -> None:
        self._receiver = receiver
        self._using = using
        # The event whose delivery is let through to see whether the receiver has recovered.
        self._probe = probe
        # Since a run of this message: what is left of it is put back.
        self.parked = False

    def worked(self, done: int, skipped: int = 0) -> None:
        if not done + skipped:
            return
        if self._probe and done:
            self._probe = None if recover(self._using, self._receiver) else self._probe
        elif self._probe:
            # What is skipped needn't have come to what fails: no row to mail to says nothing about the mail server.
            probe_another(self._using, self._receiver, self._probe)
        self._note(failed=False, runs=done + skipped)

    def failed(self, error: BaseException) -> None:
        last = [failed for _, failed in self._note(failed=True, runs=1)]
        share = settings.KILL_SWITCH_SHARE
        if self._probe or share is None or len(last) < settings.KILL_SWITCH_RUNS:
            return
        failures = sum(last)
        if failures > share * len(last):
            reason = f"{failures} of its last {len(last)} runs failed, the latest: {error!r:.300}"
            self.parked = park(self._using, self._receiver, reason)

    def _note(self, *, failed: bool, runs: int) -> list[tuple[float, bool]]:
        now, most = time.monotonic(), settings.KILL_SWITCH_RUNS
        last = _last.get((self._receiver.name, self._using))
        if last is None or last.maxlen != most:
            last = _last[self._receiver.name, self._using] = deque(maxlen=most)
        last.extend([(now, failed)] * min(runs, most))
        # A copy, made in one piece: in a pool of threads others add to it meanwhile.
        return [run for run in list(last) if now - run[0] <= _OLD]


def forget(receiver: Receiver, using: str) -> None:
    """What this process has seen of it: of before it was paused, or parked."""
    _last.pop((receiver.name, using), None)


def park(using: str, receiver: Receiver, reason: str) -> bool:
    """Whether it is parked now, or paused by a person; False where the database is away."""
    reason = storable(reason)[:500]
    try:
        with transaction.atomic(using=using):
            made = [
                PausedReceiver.objects.using(using).get_or_create(
                    name=name,
                    defaults={"by": BY, "why": reason, "probe_at": after(settings.KILL_SWITCH_PROBE)},
                )[1]
                for name in _names(receiver)
            ]
            if any(made):
                _deed(using, "parked", receiver, reason).add(1)
                # Robust: the runs that are recorded already stand, whatever those fail that are told.
                receiver_parked.send_robust(sender=None, using=using, receiver=receiver.name, reason=reason)
        pauses.current(using, fresh=0)
    except Error as cause:
        # The runs stay counted: the next failure asks again.
        logger.warning("events.kill_switch receiver=%s error=%r", receiver.name, cause)
        return False
    forget(receiver, using)
    if any(made):
        logger.error("events.kill_switch state=parked receiver=%s reason=%r", receiver.name, reason)
    return True


def recover(using: str, receiver: Receiver) -> bool:
    """It goes on, unless a person has paused it since; False where the database is away: the next probe asks again."""
    try:
        with transaction.atomic(using=using):
            rows = PausedReceiver.objects.using(using)
            gone, _ = rows.filter(name__in=_names(receiver), probe_at__isnull=False).delete()
            if gone:
                _deed(using, "resumed", receiver, "a probe succeeded").add(1)
                receiver_recovered.send_robust(sender=None, using=using, receiver=receiver.name)
        pauses.current(using, fresh=0)
    except Error as cause:
        # The probe itself is done, and says so.
        logger.warning("events.kill_switch receiver=%s error=%r", receiver.name, cause)
        return False
    if gone:
        logger.warning("events.kill_switch state=recovered receiver=%s", receiver.name)
    return True


def probe_another(using: str, receiver: Receiver, event_id: UUID) -> None:
    """At once, unless one has been sent since then: this probe has used no try, and answered nothing."""
    rows = PausedReceiver.objects.using(using).filter(name__in=_names(receiver), probe=event_id)
    try:
        rows.filter(probe_at__isnull=False).update(probe_at=Now())
    except Error as cause:
        # The next one follows at its usual time.
        logger.warning("events.kill_switch receiver=%s error=%r", receiver.name, cause)


def _deed(using: str, what: str, receiver: Receiver, why: str) -> Deed:
    return Deed(using=using, by=BY, what=what, target=f"receiver {receiver.name}", why=why)


def _names(receiver: Receiver) -> Sequence[str]:
    """Deliveries of before a rename run under the name of before."""
    return (receiver.name, *receiver.aliases)
