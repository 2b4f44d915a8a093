"""What ended in a minute, counted from the deliveries: through an index, in steps of a moment each."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Case, F, FloatField, Func, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from events.histogram import BOUNDS, BUCKETS
from events.models import FINISHED, Delivery, EventRecord, Minute, State

# Seconds a step may take: feeding waits for it.
_TARGET = 0.05
# Rows. A step that found no more took its time for other reasons, and would take it for half of them too.
_FEW = 500
# Seconds of deliveries in one step.
_LEAST, _MOST = 0.05, 60.0
# Alias → seconds of the next.
_widths: defaultdict[str, float] = defaultdict(lambda: 1.0)


class Key(NamedTuple):
    receiver: str
    queue: str
    state: str


@dataclass(slots=True, kw_only=True)
class Counted:
    """Of one receiver, queue and state."""

    count: int = 0
    failed_tries: int = 0
    wait: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    run: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    wait_ms: int = 0
    run_ms: int = 0
    slowest_ms: int = 0


Counts = dict[Key, Counted]


class Milliseconds(Func):
    """From one moment to another; each database subtracts in its own words."""

    output_field = FloatField()
    arity = 2

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "((julianday(%(end)s) - julianday(%(start)s)) * 86400000.0)"
        return self._filled(compiler, template, "end", "start")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._filled(
            compiler, "(EXTRACT(EPOCH FROM (%(end)s - %(start)s))::double precision * 1000.0)", "end", "start"
        )

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self._filled(
            compiler, "(TIMESTAMPDIFF(MICROSECOND, %(start)s, %(end)s) / 1000.0)", "start", "end"
        )

    def _filled(self, compiler: Any, template: str, *order: str) -> Any:
        """`order`: of the two in the template, and so of their parameters."""
        parts = dict(zip(("start", "end"), map(compiler.compile, self.get_source_expressions()), strict=True))
        params = [param for name in order for param in parts[name][1]]
        return template % {name: sql for name, (sql, _) in parts.items()}, params


def _bucket(name: str) -> str:
    steps = " ".join(f"WHEN {name} <= {bound} THEN {at}" for at, bound in enumerate(BOUNDS))
    # Nothing is put in none: a comparison with it is neither true nor false.
    return f"CASE WHEN {name} IS NULL THEN -1 {steps} ELSE {len(BOUNDS)} END"


# Of each delivery the two durations are computed once, in the inner statement: see `_fenced`.
_GROUPED = f"""
    SELECT receiver, queue, state, {_bucket("waited")} AS wait_at, {_bucket("ran")} AS run_at,
        COUNT(*), SUM(tries), SUM(waited), SUM(ran), MAX(ran)
    FROM ({{ended}}) AS ended GROUP BY receiver, queue, state, wait_at, run_at
"""  # noqa: S608 - numbers and names of our own


def count(using: str, start: datetime, end: datetime, into: Counts) -> Iterator[None]:
    """Add what ended from `start` on and before `end`; yields between two steps."""
    at = start
    while at < end:
        began = time.monotonic()
        width = _widths[using]
        to = min(at + timedelta(seconds=width), end)
        rows = _count_deliveries(using, at, to, into) + _count_events(using, at, to, into)
        took = time.monotonic() - began
        if took > _TARGET and rows > _FEW:
            _widths[using] = max(_LEAST, width / 2)
        elif took < _TARGET / 4:
            _widths[using] = min(_MOST, width * 2)
        at = to
        yield


def first_after(using: str, moment: datetime) -> datetime | None:
    """When the first delivery ended, or event was emitted, from that moment on."""
    ended = Delivery.objects.using(using).filter(finished_at__gte=moment).order_by("finished_at")
    emitted = EventRecord.objects.using(using).filter(emitted_at__gte=moment).order_by("emitted_at")
    found = [
        ended.values_list("finished_at", flat=True).first(),
        emitted.values_list("emitted_at", flat=True).first(),
    ]
    return min((at for at in found if at is not None), default=None)


def _between(rows: QuerySet[Any], at: str, start: datetime, end: datetime) -> QuerySet[Any]:
    return rows.filter(**{f"{at}__gte": start, f"{at}__lt": end}).order_by()


def _count_events(using: str, start: datetime, end: datetime, into: Counts) -> int:
    emitted = _between(EventRecord.objects.using(using), "emitted_at", start, end).count()
    if emitted:
        _at(into, Key("", "", Minute.EMITTED)).count += emitted
    return emitted


def _count_deliveries(using: str, start: datetime, end: datetime, into: Counts) -> int:
    ended, params = _fenced(using, start, end)
    with connections[using].cursor() as cursor:
        cursor.execute(_GROUPED.format(ended=ended), params)
        summed = cursor.fetchall()
    all_ = 0
    for receiver, queue, state, wait_at, run_at, number, tries, waited, ran, slowest in summed:
        all_ += number
        found = _at(into, Key(receiver, queue, state))
        found.count += number
        found.failed_tries += tries
        if wait_at >= 0:
            found.wait[wait_at] += number
            found.wait_ms += max(0, round(waited))
        if run_at >= 0:
            found.run[run_at] += number
            found.run_ms += max(0, round(ran))
            found.slowest_ms = max(found.slowest_ms, round(slowest))
    return all_


def _fenced(using: str, start: datetime, end: datetime) -> tuple[str, tuple[Any, ...]]:
    """Those that ended in that time, one by one, with their durations.

    The event is looked up for each: joined, PostgreSQL would read all events for a few thousand deliveries. And the
    fence keeps it from putting that look-up into each of the outer statement's comparisons.
    """
    connection = connections[using]
    emitted = Subquery(EventRecord.objects.filter(pk=OuterRef("event_id")).values("emitted_at"))
    # What is replayed has not waited since its event, which may be of last month.
    since = Coalesce(F("asked_at"), emitted)
    # Of one that failed before, the wait is mostly the retry's own; sent again by a person, it has its tries anew.
    first_try = When(tries=0, failures__isnull=True, then=Milliseconds(since, F("started_at")))
    # What failed began with an earlier try, as a rule, and what was discarded days ago: that was no run.
    done = When(state=State.DONE, then=Milliseconds(F("started_at"), F("finished_at")))
    rows = _between(Delivery.objects.using(using).filter(state__in=FINISHED), "finished_at", start, end)
    rows = rows.annotate(
        waited=Case(first_try, output_field=FloatField()),
        ran=Case(done, output_field=FloatField()),
    ).values("receiver", "queue", "state", "tries", "waited", "ran")
    sql, params = rows.query.get_compiler(using).as_sql()
    limit = connection.ops.no_limit_value()
    return f"{sql} {'OFFSET 0' if limit is None else f'LIMIT {limit}'}", params


def _at(into: Counts, key: Key) -> Counted:
    return into.setdefault(key, Counted())
