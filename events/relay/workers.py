"""What the workers say of themselves: who lives, what they serve, what they hold."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import OperationalError
from django.db.models import Q
from django.db.models.functions import Now

from events.clock import after
from events.delivery.failing import logger, recover
from events.message import named
from events.models import Worker

# Seconds. A worker beats every 5 s; from FRESH on its word is not taken, from DEAD on it is buried.
FRESH = 15
DEAD = 20

# (receiver, event id), as a message's header spells them.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workforce:
    """The live workers, read once per round."""

    workers: tuple[Worker, ...]

    @classmethod
    def read(cls, using: str) -> Workforce:
        rows = Worker.objects.using(using).filter(beat_at__gt=after(-FRESH), left_at=None)
        return cls(workers=tuple(rows))

    def held(self) -> frozenset[Pair]:
        return frozenset((receiver, event) for worker in self.workers for receiver, event in worker.held)

    def window(self, queue: str) -> int:
        """Messages the broker may hold for a queue: four for each process that serves it, at least 8."""
        return max(8, 4 * sum(w.processes for w in self.workers if queue in w.queues))

    def receivers(self, queue: str) -> frozenset[str]:
        """Those that a live worker of the queue has imported: Celery discards messages for others."""
        return frozenset(name for w in self.workers if queue in w.queues for name in w.receivers)


def bury_the_dead(using: str) -> int:
    """Take back what dead workers held; how many deliveries."""
    silent, left = Q(beat_at__lt=after(-DEAD)), Q(left_at__lt=Now())
    workers = Worker.objects.using(using)
    if not workers.filter(silent | left).exists():
        # As a rule, and asked with each round. On SQLite a DELETE of nothing waits for whoever writes, too.
        return 0
    taken = 0
    for worker in workers.filter(silent):
        # Before its row goes: killed between the two, another relay does both again, which is harmless.
        pairs = [pair for receiver, event in worker.held for pair in named(receiver, [event])]
        try:
            taken += recover(
                using, pairs, f"Its worker {worker.id} stopped giving signs of life while it held this."
            )
        except OperationalError as error:
            # Its row stays, and so it is asked for again.
            logger.warning(
                "events.relay worker=%s error=%r remedy='tried again in a moment'", worker.id, error
            )
            continue
        # Asked again, and by the database: SQLite compares times as texts, and ours has more digits than its own.
        workers.filter(silent, pk=worker.pk).delete()
    workers.filter(left).delete()
    return taken
