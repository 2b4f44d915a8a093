"""Deliveries that are put back: those that this version of the code can't run, and those whose worker died.

See docs/decisions/0007-rolling-deploys.md and 0016-brokers.md.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction

from events.clock import after
from events.delivery.failing import logger
from events.delivery.refusing import refuse
from events.delivery.trouble import repeated
from events.delivery.waiting import limited_waiting
from events.message import Message
from events.models import Delivery, EventRecord, State

# Seconds until it is sent again, doubled each time it was sent: old workers and new may share the queue.
_FIRST = 2
# Where no live worker knows the receiver, the relay sends nothing; which of them know a version it can't tell.
_LONGEST = 8
_LONGEST_OF_VERSION = 30
# And up to so much more, by chance. Idle workers ask Redis anew each second (kombu), the first in the line gets the
# message: at even pauses it was the same one each time.
_SPREAD = 1.0

# Sendings that came to nothing, after which a delivery comes alone and its tries are counted.
LOST_OFTEN = 2

# Event and attempt, as the message has them.
Sent = tuple[UUID, int]


def return_message(message: Message) -> int:
    """For a receiver that this process doesn't have. How many deliveries were put back."""
    sent = zip(map(UUID, message.ids), message.attempts, strict=True)
    return _put_back(message, sent, f"the receiver {message.receiver!r}", _LONGEST)


def return_newer(message: Message, sent: Iterable[Sent], version: str) -> int:
    """Those deliveries of the message whose events are of a newer version than this code has. How many."""
    return _put_back(message, sent, version, _LONGEST_OF_VERSION)


def return_redelivered(message: Message) -> int:
    """Of a worker that died with the message in hand, perhaps of it: the relay sends it anew, and counts how often."""
    pairs = sorted(zip(map(UUID, message.ids), message.attempts, strict=True))
    error = "Put back: a worker that had it in hand is gone."
    put = repeated(message.using, lambda: _written(message, pairs, error, 0))
    logger.warning("events.redelivered receiver=%s deliveries=%d", message.receiver, put)
    return put


def _put_back(message: Message, sent: Iterable[Sent], lacks: str, longest: int) -> int:
    pairs = sorted(sent)
    error = f"Put back by a worker whose code lacks {lacks}: it waits for one that has it."
    put = repeated(message.using, lambda: _written(message, pairs, error, longest))
    logger.warning("events.put_back receiver=%s deliveries=%d lacks=%r", message.receiver, put, lacks)
    # The same words each time: they are counted, not written again.
    reason = f"The code of this worker lacks {lacks}: the deliveries wait for a worker that has it"
    refuse(message.using, reason, receiver=message.receiver, message_id=message.id)
    return put


def _written(message: Message, pairs: Sequence[Sent], error: str, longest: int) -> int:
    """No try is used, and careful stays careful. What isn't `sent` with that attempt is somebody else's by now."""
    ids = [event_id for event_id, _ in pairs]
    attempts = {attempt for _, attempt in pairs}
    waiting = {
        "state": State.WAITING,
        "next_at": after(_pause(max(attempts), longest)),
        "suspect_at": None,
        "error": error,
    }
    put = 0
    with transaction.atomic(using=message.using), limited_waiting(message.using):
        rows = Delivery.objects.using(message.using).filter(receiver=message.receiver, event_id__in=ids)
        put += _insert(message, set(ids) - set(rows.values_list("event_id", flat=True)), waiting)
        for attempt in sorted(attempts):
            of_attempt = rows.filter(event_id__in=[pk for pk, each in pairs if each == attempt])
            sent = of_attempt.filter(state=State.SENT, attempt=attempt)
            if not longest:
                sent.filter(tries__lte=attempt - LOST_OFTEN).update(careful=True)
            changed: int = sent.update(**waiting)
            put += changed
    return put


def _pause(attempt: int, longest: int) -> float:
    """Seconds; none where `longest` is none."""
    return min(_FIRST << min(attempt, 10), longest) + random.uniform(0, _SPREAD) if longest else 0


def _insert(message: Message, ids: Iterable[UUID], waiting: dict[str, object]) -> int:
    """Records for those that are in the outbox for this receiver, and for no others."""
    events = EventRecord.objects.using(message.using).filter(pk__in=ids).order_by("pk")
    listed = [pk for pk, names in events.values_list("pk", "receivers") if message.receiver in names]
    rows = [Delivery(event_id=pk, receiver=message.receiver, queue=message.queue, **waiting) for pk in listed]
    # A conflict needs no answer: whoever made the record in between runs it, or looks for it.
    return len(Delivery.objects.using(message.using).bulk_create(rows, ignore_conflicts=True))
