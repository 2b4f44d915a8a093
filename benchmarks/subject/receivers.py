"""What the benchmarks measure the bus with: receivers that do next to nothing."""

from __future__ import annotations

from typing import Any

from benchmarks.subject.models import Effect
from events import Event, offload

counted = Event("benchmark.counted", number=int)
idle = Event("benchmark.idle", number=int)


@offload(counted, queue="default")
def count_exactly(sender: Any, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="exactly", key=event.idempotency_key)


@offload(counted, queue="audit", atomic=False)
def count_at_least(sender: Any, event: Any, **kwargs: Any) -> None:
    Effect.objects.create(receiver="at least", key=event.idempotency_key)


# Receivers of every idle event: a million deliveries come from few events. One of each kind is among them; that
# with a commit for each delivery takes longest, and listens to every twentieth alone.
IDLE = 4
RARE = 20


@offload(idle, queue="default")
def rest_0(sender: Any, **kwargs: Any) -> None: ...


@offload(idle, queue="default")
def rest_1(sender: Any, **kwargs: Any) -> None: ...


@offload(idle, queue="default")
def rest_2(sender: Any, **kwargs: Any) -> None: ...


def _is_rare(sender: Any, number: int, **kwargs: Any) -> bool:
    return number % RARE == 0


@offload(idle, queue="default", atomic=False, when=_is_rare)
def rest_outside(sender: Any, **kwargs: Any) -> None: ...


@offload(idle, queue="default", many=True)
def rest_3(occurrences: Any) -> None: ...
