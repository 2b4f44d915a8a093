"""What is on its way or waits, as it is now: through the indexes of the unfinished, and no further than a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import product
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from events.models import IS_RETRYING, IS_UNFINISHED, UNFINISHED, Delivery, EventRecord, State
from events.relay.slices import slices

# Of one queue and state, or of those that are tried again, so many are counted: a million take PostgreSQL a third of
# a second, and a page that refreshes itself every few.
MANY = 50_000
# Among so many of a queue, those that workers have first, the oldest is looked for one by one.
_FEW = 1_000
# Queues that one statement asks about: SQLite takes five hundred parts.
_JOINED = 100

Sql = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """What failed before and waits to be tried again."""

    # Receiver → deliveries, their failed tries, and their queue.
    numbers: Counter[str] = field(default_factory=Counter)
    failed_tries: Counter[str] = field(default_factory=Counter)
    queues: dict[str, str] = field(default_factory=dict)
    # Of all receivers; and whether there are more: the oldest events' were counted.
    total: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    # (queue, state) → deliveries.
    numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    # Queues with more of a state than were counted.
    more: frozenset[str] = frozenset()
    retrying: Retrying = field(default_factory=Retrying)

    @property
    def queues(self) -> list[str]:
        """Those of unfinished deliveries."""
        return sorted({queue for queue, _ in self.numbers})

    def of_queue(self, name: str, *states: str) -> int:
        return sum(self.numbers[name, state] for state in states)


def unfinished(using: str, most: int | None = MANY) -> Unfinished:
    """`most` of each queue and state are counted; None: all. Three statements, however many queues there are."""
    numbers = _numbers(using, queues_at_work(using), most)
    return Unfinished(
        numbers=Counter({key: _capped(number, most) for key, number in numbers.items()}),
        more=frozenset(queue for (queue, _), number in numbers.items() if number > _capped(number, most)),
        retrying=retrying(using, most),
    )


def retrying(using: str, most: int | None = MANY) -> Retrying:
    """`most` of them are counted; None: all."""
    rows = Delivery.objects.using(using).filter(IS_RETRYING).order_by("event_id")
    sql, params = _sql(using, rows.values("queue", "receiver", "tries")[: _limit(most)])
    # Made of our own words; every value is a parameter.
    statement = (
        f"SELECT queue, receiver, COUNT(*), SUM(tries) FROM ({sql}) AS counted GROUP BY queue, receiver"  # noqa: S608
    )
    found = Retrying()
    for queue, receiver, number, tries in _rows(using, statement, params):
        found.numbers[receiver] += number
        # MySQL sums up to a decimal number.
        found.failed_tries[receiver] += int(tries)
        found.queues[receiver] = queue
    counted = found.numbers.total()
    total = _capped(counted, most)
    return replace(found, total=total, more=counted > total)


def queues_at_work(using: str) -> list[str]:
    """Those of unfinished deliveries: from one to the next through the index, whether or not anybody serves them."""
    first, params = _sql(using, _queues(using))
    following, more = _sql(using, _queues(using, queue__gt=RawSQL("found.queue", ())))
    statement = (
        f"WITH RECURSIVE found(queue) AS (SELECT ({first}) UNION ALL SELECT ({following}) FROM found "  # noqa: S608 - as above
        "WHERE found.queue IS NOT NULL) SELECT queue FROM found WHERE queue IS NOT NULL"
    )
    return [queue for (queue,) in _rows(using, statement, (*params, *more))]


def _queues(using: str, **conditions: Any) -> QuerySet[Any, Any]:
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED, **conditions)
    return rows.order_by("queue").values("queue")[:1]


def _numbers(using: str, queues: Sequence[str], most: int | None) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for some in slices(queues, _JOINED):
        parts, params = [], []
        for queue, state in product(some, UNFINISHED):
            # In the order of the index: else PostgreSQL might pass all that is finished on its way to the first.
            sql, more = _sql(using, _of(using, queue, state).values("next_at")[: _limit(most)])
            parts.append(f"SELECT %s, %s, COUNT(*) FROM ({sql}) AS counted")  # noqa: S608 - as above
            params += [queue, state.value, *more]
        for queue, state, number in _rows(using, " UNION ALL ".join(parts), params):
            found[queue, state] = number
    return found


def _of(using: str, queue: str, state: str) -> QuerySet[Delivery]:
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED, queue=queue, state=state)
    return rows.order_by("next_at")


def oldest_unfinished(using: str, queues: Sequence[str]) -> datetime | None:
    """When the oldest event was emitted that has an unfinished delivery in one of the queues.

    Of more than a thousand in a queue that never failed, only those are asked that workers have or that wait the
    longest: one that was put back since may be of an older event.
    """
    found = [_oldest(using, some) for some in slices(queues, _JOINED)]
    return min((at for at in found if at is not None), default=None)


def _oldest(using: str, queues: Iterable[str]) -> datetime | None:
    tried = Delivery.objects.using(using).filter(IS_RETRYING).order_by("event_id").values("event_id")[:1]
    samples = [rows for queue in queues for rows in _sampled(using, queue)]
    parts = [_sql(using, rows) for rows in (tried, *samples)]
    events = " UNION ALL ".join(f"SELECT event_id FROM ({sql}) AS counted" for sql, _ in parts)  # noqa: S608 - as above
    # Ids of events grow with time. The limit within is a fence: SQLite would sort all of each part by them.
    first = f"SELECT event_id FROM ({events} LIMIT 1000000) AS sampled ORDER BY event_id LIMIT 1"  # noqa: S608 - as above
    params = tuple(param for _, some in parts for param in some)
    event = EventRecord.objects.using(using).filter(pk=RawSQL(first, params))  # noqa: S611 - as above
    return event.values_list("emitted_at", flat=True).first()


def _sampled(using: str, queue: str) -> Iterator[QuerySet[Any, Any]]:
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED)
    # From queue to queue, though it is one: of a single one SQLite would sort all that is in it.
    few = rows.filter(queue__gte=queue, queue__lte=queue).order_by("queue", "state", "next_at")
    yield few.values("event_id")[:_FEW]
    yield _of(using, queue, State.WAITING).values("event_id")[:1]


def _capped(number: int, most: int | None) -> int:
    return number if most is None else min(number, most)


def _limit(most: int | None) -> int | None:
    """One more tells that there are more."""
    return None if most is None else most + 1


def _sql(using: str, rows: QuerySet[Any, Any]) -> Sql:
    sql, params = rows.query.get_compiler(using).as_sql()
    return sql, tuple(params)


def _rows(using: str, statement: str, params: Iterable[Any]) -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(statement, tuple(params))
        return list(cursor.fetchall())
