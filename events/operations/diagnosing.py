"""What is wrong here, now: found by asking, not by guessing from the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Literal, NamedTuple

from django.core import checks
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Sum
from django.utils import timezone

from events import transport
from events.clock import after, now
from events.conf import settings
from events.databases import clock_is_off, outbox_aliases
from events.models import Delivery, EventRecord, Meter, PausedReceiver, Queue, Refusal, Size, State
from events.operations.failures import forgotten_letters
from events.operations.health import relay_health
from events.operations.uncaptured import EXAMINED, uncaptured
from events.operations.unserved import unfinished_pairs
from events.outbox import LARGE
from events.registry import registry
from events.relay.behind import behind
from events.relay.workers import Workforce
from events.texts import duration

Level = Literal["ok", "note", "warning", "error"]

# Seconds a relay may leave a due event: it looks four times a second.
_RELAY_PATIENCE = 30
# Seconds after which the figures are old: a relay counts every few.
_METER_PATIENCE = 120
# Events that are looked at for their size.
_LATEST = 1_000


class Finding(NamedTuple):
    level: Level
    what: str
    # What to do about it; "" where nothing is to be done.
    remedy: str = ""


def diagnose() -> Iterator[Finding]:
    """One finding after the other; a database that is away spoils only what needs it."""
    yield from _system_checks()
    yield from _broker()
    for using in outbox_aliases():
        yield from _alias(using)


def _system_checks() -> Iterator[Finding]:
    try:
        messages = [m for m in checks.run_checks() if not m.is_silenced()]
    except DatabaseError as error:
        # From Django 6.1 on they ask SQLite what it can. That it is away is a finding of its own, below.
        yield Finding("note", f"`manage.py check` could not ask a database ({error})")
        return
    ours = [m for m in messages if (m.id or "").startswith("offload.") or m.level >= checks.ERROR]
    for message in ours:
        level: Level = "error" if message.level >= checks.ERROR else "warning"
        yield Finding(level, f"{message.id}: {message.msg}", message.hint or "")
    if not ours:
        yield Finding("ok", "`manage.py check` finds nothing wrong")


def _broker() -> Iterator[Finding]:
    try:
        transport.probe()
    except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
        where = f"{type(error).__name__}: {error}"
        yield Finding(
            "error", f"the broker does not answer ({where})", "Start it, or correct CELERY_BROKER_URL."
        )
    else:
        yield Finding("ok", "the broker answers")


def _alias(using: str) -> Iterator[Finding]:
    try:
        connections[using].ensure_connection()
        behind = _unapplied(using)
    except DatabaseError as error:
        yield Finding(
            "error", f"database {using!r} does not answer ({error})", "Start it, or correct DATABASES."
        )
        return
    if behind:
        yield Finding(
            "error", f"database {using!r} lacks {behind} of our migrations", "Run manage.py migrate."
        )
        return
    yield Finding("ok", f"database {using!r} answers, and its tables are there")
    for look in _LOOKS:
        yield from look(using)


def _unapplied(using: str) -> int:
    executor = MigrationExecutor(connections[using])
    ours = [node for node in executor.loader.graph.leaf_nodes() if node[0] == EventRecord._meta.app_label]
    return len(executor.migration_plan(ours))


def _workers(using: str) -> Iterator[Finding]:
    live = Workforce.read(using)
    if not live.workers:
        queues = ",".join(sorted(settings.QUEUES))
        yield Finding(
            "error", "no worker gives a sign of life", f"Start one: celery -A PROJECT worker -Q {queues}"
        )
        return
    yield Finding("ok", f"workers alive: {', '.join(worker.id for worker in live.workers)}")
    waiting = unfinished_pairs(using)
    pairs = {(receiver.route(), receiver.name) for receiver in registry} | waiting.keys()
    served = {queue for worker in live.workers for queue in worker.queues}
    for queue in sorted({queue for queue, _ in pairs} - served):
        yield Finding("error", f"no worker serves queue {queue!r}", f"Add it to a worker's -Q: {queue}")
    for queue, name in sorted(pairs):
        if queue in served:
            yield from _knowledge(live, queue, name, waiting.get((queue, name), 0))


def _knowledge(live: Workforce, queue: str, name: str, waiting: int) -> Iterator[Finding]:
    serving = [worker for worker in live.workers if queue in worker.queues]
    knowing = [worker for worker in serving if name in worker.receivers]
    if not knowing:
        yield Finding(
            "error",
            f"no worker of queue {queue!r} knows receiver {name!r}{_wait(waiting)}",
            "Restart the workers with the code that has it, or give its new name aliases=.",
        )
    elif len(knowing) < len(serving):
        others = ", ".join(worker.id for worker in serving if worker not in knowing)
        yield Finding(
            "warning",
            f"{len(knowing)} of {len(serving)} workers of queue {queue!r} know receiver {name!r}",
            f"The others put its deliveries back. Restart them with the code that has it: {others}",
        )


def _wait(deliveries: int) -> str:
    if not deliveries:
        return ""
    return ": 1 delivery waits" if deliveries == 1 else f": {deliveries:,} deliveries wait"


def _clock(using: str) -> Iterator[Finding]:
    off = clock_is_off(using)
    if off:
        yield Finding(
            "warning",
            f"the clock of database {using!r} is {off.total_seconds() / 3600:+g} h off",
            "manage.py check --database says why, and what to do.",
        )


def _relay(using: str) -> Iterator[Finding]:
    due = EventRecord.objects.using(using).filter(next_at__lt=after(-_RELAY_PATIENCE))
    late = due.count()
    oldest = due.order_by("next_at").values_list("next_at", flat=True).first()
    if oldest is None:
        yield Finding("ok", "no event is left lying by the relay")
    elif relay_health(using).is_alive:
        waited = duration((now(using) - oldest).total_seconds())
        yield Finding(
            "warning",
            f"{late:,} events are due for more than {_RELAY_PATIENCE} s, the oldest for {waited}: "
            "a relay works on them",
            "Look again in a minute. If there are no fewer then, its log says why.",
        )
    else:
        yield Finding(
            "error",
            f"{late:,} events are due for more than {_RELAY_PATIENCE} s: no relay runs",
            'Start a worker with EVENTS["RELAY"] on, or manage.py events relay.',
        )


def _figures(using: str) -> Iterator[Finding]:
    before = timezone.now() - timedelta(seconds=_METER_PATIENCE)
    old = Meter.objects.using(using).filter(read_at__lt=before).first()
    if old is not None:
        minutes = (timezone.now() - old.read_at).total_seconds() / 60
        yield Finding(
            "warning",
            f"the figures of health page and metrics are {minutes:.0f} min old: no relay counts what ends",
            'Start a worker with EVENTS["RELAY"] on, or manage.py events relay. Nothing is lost: it catches up.',
        )


def _behind(using: str) -> Iterator[Finding]:
    for late in behind(using):
        minutes = late.waited.total_seconds() / 60
        yield Finding(
            "warning",
            f"queue {late.queue!r} falls behind: its oldest delivery is due for {minutes:.0f} min",
            f"Start more workers with -Q {late.queue}, or make its receivers faster (many=True, atomic=True).",
        )


def _large(using: str) -> Iterator[Finding]:
    latest = EventRecord.objects.using(using).order_by("-pk").values_list(Size("envelope"), "type")[:_LATEST]
    size, kind = max(latest, default=(0, ""))
    if size > LARGE:
        yield Finding(
            "warning",
            f"an event of {kind!r}, among the last {_LATEST:,}, has {size / 1e6:,.0f} MB",
            "A worker needs several times as much to run it. Send what it takes to find the data: a row, a file.",
        )


def _pauses(using: str) -> Iterator[Finding]:
    queues = Queue.objects.using(using).filter(paused=True).values_list("name", flat=True)
    for name in queues:
        yield Finding("note", f"{name} is paused", f"manage.py events resume {name}")
    for row in PausedReceiver.objects.using(using).order_by("name"):
        remedy = f"manage.py events resume {row.name}"
        if row.probe_at is None:
            yield Finding("note", f"{row.name} is paused", remedy)
        else:
            yield Finding(
                "error",
                f"{row.name} is parked: {row.why}",
                f"It is probed until it recovers. Mend what it needs; {remedy} lets it go on at once.",
            )


def _dead(using: str) -> Iterator[Finding]:
    old = forgotten_letters(using)
    if old:
        days = f"{settings.MAX_DEAD_LETTER_AGE:g}"
        yield Finding(
            "warning",
            f"{old} dead letters are older than {days} days",
            "Look at them with manage.py events failed, then retry or discard them.",
        )
    elif Delivery.objects.using(using).filter(state=State.DEAD).exists():
        yield Finding("note", "there are dead letters", "manage.py events failed")
    else:
        yield Finding("ok", "there are no dead letters")


def _refusals(using: str) -> Iterator[Finding]:
    day = timezone.now() - timedelta(days=1)
    rows = Refusal.objects.using(using).filter(at__gte=day)
    last = rows.first()
    if last is not None:
        number = rows.aggregate(all=Sum("count"))["all"]
        yield Finding(
            "warning",
            f"workers refused {number:,} messages in the last day, the latest because {last.reason}",
            "See the refusals in the admin: a foreign or forged message, a key that was rotated too early, or "
            "code that a worker lacks.",
        )


def _uncaptured(using: str) -> Iterator[Finding]:
    for (kind, name), number in uncaptured(using).most_common():
        yield Finding(
            "warning",
            f"{number:,} of the latest {EXAMINED:,} events lack {name!r} of {kind}, which could not be captured",
            "The emitter's log says why: events.withheld. events.register_serializer teaches a type to travel.",
        )


_LOOKS: tuple[Callable[[str], Iterator[Finding]], ...] = (
    _clock,
    _workers,
    _relay,
    _figures,
    _behind,
    _large,
    _pauses,
    _dead,
    _refusals,
    _uncaptured,
)
