"""Everything is read from the database when it is asked for, so it is right for any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from events import pauses
from events.databases import outbox_aliases
from events.histogram import BOUNDS, added
from events.models import Minute
from events.operations.health import Health, Overview, overview

# In seconds, as Prometheus has it.
_LE = [*(str(bound / 1000) for bound in BOUNDS), "+Inf"]


class Figures(Collector):
    """Raises database errors: a scrape without figures has failed."""

    def collect(self) -> Iterable[Metric]:
        # All of it: whoever scales by these figures has to see a million become less.
        found = overview(outbox_aliases(), most=None)
        ever = {health.using: _ever(health.using) for health in found.outboxes}
        yield from _reach(found)
        yield from _counters(ever)
        yield _histogram(
            "events_wait_seconds", "From a delivery's emission to its start, first tries alone.", ever, "wait"
        )
        yield _histogram(
            "events_run_seconds", "From a delivery's start to its end, of those that are done.", ever, "run"
        )
        yield from _outboxes(found.outboxes)
        yield from _queues(found.outboxes)
        yield from _receivers(found.outboxes)
        yield _held(found.outboxes)


Ever = dict[str, list[Minute]]


def _ever(using: str) -> list[Minute]:
    rows = Minute.objects.using(using).filter(minute=Minute.ever(using))
    return list(rows.order_by("receiver", "queue", "state"))


def _reach(found: Overview) -> Iterator[Metric]:
    yield _gauge("events_broker_up", "Whether the broker answers.", [], [([], found.broker.ok)])
    yield _gauge(
        "events_database_up",
        "Whether the database answers.",
        ["database"],
        [([using], reach.ok) for using, reach in found.databases.items()],
    )
    yield _gauge(
        "events_breaker_closed",
        "Whether this web process publishes at once; else its events are left to the relay.",
        [],
        [([], found.breaker.is_closed)],
    )


def _counters(ever: Ever) -> Iterator[Metric]:
    emitted = CounterMetricFamily("events_emitted", "Events emitted.", labels=["database"])
    ended = CounterMetricFamily(
        "events_deliveries",
        "Deliveries that ended, by their last state.",
        labels=["database", "queue", "receiver", "state"],
    )
    failed = CounterMetricFamily(
        "events_failed_tries",
        "Tries that failed, of deliveries that have ended.",
        labels=["database", "queue", "receiver"],
    )
    for using, rows in ever.items():
        tries: dict[tuple[str, str], int] = {}
        emitted.add_metric([using], sum(row.count for row in rows if row.state == Minute.EMITTED))
        for row in rows:
            if row.state != Minute.EMITTED:
                ended.add_metric([using, row.queue, row.receiver, row.state], row.count)
                key = row.queue, row.receiver
                tries[key] = tries.get(key, 0) + row.failed_tries
        for (queue, receiver), number in tries.items():
            failed.add_metric([using, queue, receiver], number)
    yield from (emitted, ended, failed)


def _histogram(name: str, text: str, ever: Ever, kind: str) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["database", "queue", "receiver"])
    for using, rows in ever.items():
        counts: dict[tuple[str, str], list[int]] = {}
        sums: dict[tuple[str, str], int] = {}
        for row in rows:
            if row.state != Minute.EMITTED:
                key = row.queue, row.receiver
                counts[key] = added(counts.get(key, []), getattr(row, kind))
                sums[key] = sums.get(key, 0) + getattr(row, f"{kind}_ms")
        for (queue, receiver), numbers in counts.items():
            family.add_metric(
                [using, queue, receiver], _cumulative(numbers), sum_value=sums[queue, receiver] / 1000
            )
    return family


def _cumulative(numbers: Sequence[int]) -> list[tuple[str, float]]:
    total, found = 0, []
    for bound, number in zip(_LE, numbers, strict=True):
        total += number
        found.append((bound, float(total)))
    return found


def _outboxes(outboxes: Sequence[Health]) -> Iterator[Metric]:
    """One number for each."""
    gauges: dict[str, tuple[str, Callable[[Health], float]]] = {
        "events_oldest_undelivered_seconds": (
            "Age of the oldest event that is not yet with all its receivers; 0 where there is none.",
            lambda each: _age(each.oldest_undelivered),
        ),
        "events_workers": ("Workers that give signs of life.", lambda each: each.workers),
        "events_relay_up": (
            "Whether a relay has given a sign of life of late.",
            lambda each: each.relay.is_alive,
        ),
        "events_figures_age_seconds": (
            "Since when the counters and histograms here have not been brought up to date.",
            lambda each: _age(each.relay.read_at),
        ),
    }
    for name, (text, value) in gauges.items():
        yield _gauge(name, text, ["database"], [([each.using], value(each)) for each in outboxes])


def _queues(outboxes: Sequence[Health]) -> Iterator[Metric]:
    labels = ["database", "queue"]
    rows = [([each.using, queue.name], queue) for each in outboxes for queue in each.queues]
    yield _gauge("events_queue_workers", "Workers that serve it.", labels, [(k, q.workers) for k, q in rows])
    yield _gauge("events_queue_processes", "Their processes.", labels, [(k, q.processes) for k, q in rows])
    yield _gauge("events_queue_paused", "Whether it is paused.", labels, [(k, q.paused) for k, q in rows])
    yield _gauge(
        "events_queue_depth",
        "Messages in the broker; absent where that can't be asked.",
        labels,
        [(k, q.depth) for k, q in rows if q.depth is not None],
    )
    states = [
        ([*key, state], getattr(queue, state))
        for key, queue in rows
        for state in ("waiting", "sent", "running")
    ]
    yield _gauge("events_unfinished", "Deliveries that have not ended.", [*labels, "state"], states)


def _receivers(outboxes: Sequence[Health]) -> Iterator[Metric]:
    labels = ["database", "queue", "receiver"]
    rows = [([each.using, one.queue, one.name], one) for each in outboxes for one in each.receivers]
    yield _gauge(
        "events_retrying",
        "Deliveries that failed and are tried again.",
        labels,
        [(k, r.retrying) for k, r in rows],
    )
    yield _gauge("events_dead_letters", "Dead letters.", labels, [(k, r.dead) for k, r in rows])


def _held(outboxes: Sequence[Health]) -> Metric:
    rows: list[tuple[list[str], float]] = []
    for using in (each.using for each in outboxes):
        found = pauses.current(using, fresh=0)
        rows += [
            ([using, name, "parked" if name in found.parked else "paused"], 1.0)
            for name in sorted(found.receivers)
        ]
    text = "1 for each receiver that holds still: paused by a person, or parked by the kill switch."
    return _gauge("events_receiver_held", text, ["database", "receiver", "how"], rows)


def _gauge(
    name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[list[str], float | bool]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in rows:
        family.add_metric(values, float(number))
    return family


def _age(at: datetime | None) -> float:
    return max((timezone.now() - at).total_seconds(), 0.0) if at else 0.0
