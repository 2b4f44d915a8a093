"""One round of the relay: materialise, look, feed. Any number of relays may run side by side."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from django.db import Error
from django.db.models.functions import Now

from events import transport
from events.conf import settings
from events.models import IS_UNFINISHED, Delivery, State
from events.relay import lease
from events.relay.doubt import doubt
from events.relay.feeding import feed
from events.relay.looking import examine
from events.relay.materialising import batch, materialise
from events.relay.pacing import Fed
from events.relay.rotation import in_turn
from events.relay.workers import Workforce, bury_the_dead

logger = logging.getLogger("events")

# Seconds between two close looks into a queue of a broker that is disturbed by them.
_LOOK_CLOSELY = 2.0
# Messages of a queue that may be moved to see whose they are: so many take a second.
_MOST_MOVED = 1_000
# When each queue was last looked into so, by this process.
_looked: dict[tuple[str, str], float] = {}
# Alias → the queue at which a round ended early: the next one begins behind it.
_ended_at: dict[str, str] = {}


@dataclass(slots=True, kw_only=True)
class Round:
    """What a round did."""

    materialised: int = 0
    recovered: int = 0
    lost: int = 0
    messages: int = 0
    # More events are due than it examined.
    more: bool = False
    # Queue → what became of its window.
    fed: dict[str, Fed] = field(default_factory=dict, compare=False)
    # What the broker said instead of an answer; None where none was asked.
    broker_error: str | None = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return bool(self.materialised or self.recovered or self.lost or self.messages)


def turn(using: str) -> Round:
    """One round on the outbox of `using`. Raises database errors; a broker that is away ends it early."""
    done = Round(recovered=bury_the_dead(using))
    workforce = Workforce.read(using)
    most = batch(using)
    done.materialised = materialise(using, workforce.held())
    done.more = done.materialised >= most
    for queue in _queues(using):
        if lease.take(using, queue) and not _serve(using, queue, done):
            # What one queue waited seconds for, the next would wait for too. Or the trouble is this one's alone.
            _ended_at[using] = queue
            break
    if done.lost:
        logger.warning("events.relay alias=%s lost=%d remedy='they are sent again'", using, done.lost)
    return done


def _queues(using: str) -> list[str]:
    names = set(_unfinished_queues(using))
    lease.ensure(using, names | set(settings.QUEUES))
    return in_turn(names, after=_ended_at.get(using, ""))


def _unfinished_queues(using: str) -> Iterator[str]:
    """Queues with anything unfinished: from one to the next through the index, however much each holds."""
    rows = (
        Delivery.objects.using(using).filter(IS_UNFINISHED).order_by("queue").values_list("queue", flat=True)
    )
    name: str | None = ""
    while name := rows.filter(queue__gt=name).first():
        yield name


def _serve(using: str, queue: str, done: Round) -> bool:
    """Whether the broker answered."""
    held = lease.Lease(using, queue)
    try:
        look = transport.look(queue, closely=partial(_is_sought, using, queue))
    except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
        # Nothing is concluded from a broker that can't be asked.
        logger.warning("events.relay queue=%s error=%r remedy='tried again in a moment'", queue, error)
        done.broker_error = f"{type(error).__name__}: {error}"
        transport.reset()
        return False
    done.broker_error = ""
    # Read after the broker: see events.relay.looking.
    workforce = Workforce.read(using)
    if look.ids is not None:
        done.lost += examine(using, queue, look.ids, workforce.held())
    # Its own messages alone: emitters that keep the queue filled must not keep the backlog waiting.
    if not doubt.allows():
        return True
    window = workforce.window(queue)
    seen = Fed(window=window, room=window - look.relayed, sent=0)
    return _feed(held, seen, workforce.receivers(queue), done)


def _is_sought(using: str, queue: str, depth: int) -> bool:
    """Whether it matters what is in it: something sent is due, or something waits that emitters' messages keep out."""
    now = time.monotonic()
    if depth > _MOST_MOVED:
        return False
    if now - _looked.get((using, queue), -_LOOK_CLOSELY) < _LOOK_CLOSELY:
        return False
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED, queue=queue, next_at__lte=Now())
    states = [State.SENT, State.RUNNING]
    if depth >= Workforce.read(using).window(queue):
        states.append(State.WAITING)
    sought = rows.filter(state__in=states).exists()
    if sought:
        _looked[using, queue] = now
    return sought


def _feed(held: lease.Lease, seen: Fed, receivers: frozenset[str], done: Round) -> bool:
    try:
        sent = feed(held.using, held.name, seen.room, receivers, is_ours=held.is_ours)
    except Error:
        raise
    except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
        logger.warning("events.relay queue=%s error=%r remedy='looked for in 15 s'", held.name, error)
        transport.reset()
        doubt.failed()
        return False
    if sent:
        doubt.worked()
    done.messages += sent
    done.fed[held.name] = replace(seen, sent=sent)
    return True
