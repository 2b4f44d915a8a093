"""A backlog for several workers, whose receiver waits for company: that they share it is no matter of luck."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from django.db import transaction

from events import Event, offload
from events.models import Delivery
from tests.chaos.models import Effect, Expectation, Truth

KIND, RECEIVER = "shared", "share"
WORKERS = 3
# Seconds. Below the time limit of a receiver.
PATIENCE = 240

shared = Event("docker.shared", mark=str)


@offload(shared, queue="default", atomic=False, batch=10)
def share(sender: Any, mark: str, event: Any, **kwargs: Any) -> None:
    wait_for_company()
    Effect.objects.create(mark=mark, round=0, receiver=RECEIVER, key=event.idempotency_key)


@cache
def wait_for_company() -> None:
    """Until as many workers are at it as there should be. Asked once in each process."""
    end = time.monotonic() + PATIENCE
    while len(who_took()) < WORKERS:
        if time.monotonic() > end:
            raise TimeoutError(f"alone, or nearly: {who_took()}")
        time.sleep(0.1)


def who_took() -> list[str]:
    """The workers that took a share, by their names."""
    taken = Delivery.objects.filter(event__type=shared.name).exclude(worker="")
    return sorted(set(taken.values_list("worker", flat=True)))


def emit(number: int) -> None:
    Expectation.objects.create(kind=KIND, receiver=RECEIVER, atomic=False)
    with transaction.atomic():
        for count in range(number):
            mark = f"0-{KIND}-{count}"
            Truth.objects.create(mark=mark, kind=KIND, round=0)
            shared.send(sender=None, mark=mark)
