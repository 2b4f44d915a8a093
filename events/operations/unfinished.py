"""What is on its way or waits, as it is now: through the small index of the unfinished."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from django.db.models import Case, Count, Q, Sum, Value, When

from events.models import IS_UNFINISHED, Delivery, State

# Of those that wait: it failed before.
RETRYING = "retrying"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    # (queue, receiver, state) → deliveries; a state, or `RETRYING`.
    numbers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    # Receiver → tries of theirs that failed.
    failed_tries: Counter[str] = field(default_factory=Counter)

    def of_queue(self, name: str, *states: str) -> int:
        return sum(n for (queue, _, state), n in self.numbers.items() if queue == name and state in states)

    def retrying(self, receiver: str | None = None) -> int:
        return sum(
            n
            for (_, name, state), n in self.numbers.items()
            if state == RETRYING and receiver in (None, name)
        )


def unfinished(using: str) -> Unfinished:
    rows = Delivery.objects.using(using).filter(IS_UNFINISHED).order_by()
    failed = When(Q(state=State.WAITING, tries__gt=0), then=Value(RETRYING))
    grouped = rows.annotate(now=Case(failed, default="state")).values_list("queue", "receiver", "now")
    found = Unfinished()
    for queue, receiver, now, number, tries in grouped.annotate(n=Count("pk"), failed=Sum("tries")):
        found.numbers[queue, receiver, now] += number
        found.failed_tries[receiver] += tries
    return found
