"""What these tests ask and do inside of the containers: `python -m tests.docker.inside COMMAND …` answers in JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import django

# Seconds without any progress after which nothing is to come any more.
PATIENCE = 300
ROLLED_BACK = Path(os.environ.get("CHAOS_DIR", "/chaos"))


def prepare() -> None:
    """Once, before the load: what it works on, and what every kind of event is to lead to."""
    from tests.chaos import ledger
    from tests.chaos.models import Tag

    ledger.expect()
    Tag.objects.bulk_create(Tag(name=f"{number}") for number in range(20))


def load(name: str, steps: str) -> None:
    """So many transactions, one after the other."""
    from tests.chaos.transactions import Transactions

    transactions = Transactions(name, Random(name), ROLLED_BACK / f"rolled-back-{name}.txt")
    for _ in range(int(steps)):
        transactions.step()


def backlog(number: str) -> None:
    from tests.docker.shared import emit

    emit(int(number))


def shares() -> list[str]:
    from tests.docker.shared import who_took

    return who_took()


def wait_for_effects(number: str) -> int:
    """Until so many receivers have done something."""
    from tests.chaos.models import Effect

    end = time.monotonic() + PATIENCE
    while (count := Effect.objects.count()) < int(number) and time.monotonic() < end:
        time.sleep(0.05)
    return count


def ran(receiver: str) -> int:
    """How often it did what it does."""
    from tests.chaos.models import Effect

    return Effect.objects.filter(receiver=receiver).count()


def settle() -> dict[str, Any]:
    """Wait until all that is to come has come. What there was of it, and what is wrong with it."""
    from events.models import FINISHED, Delivery
    from tests.chaos import ledger
    from tests.chaos.models import Truth

    rounds = sorted(set(Truth.objects.values_list("round", flat=True)))
    expected = sum(map(ledger.expected_in, rounds))
    finished, since = -1, time.monotonic()
    while finished < expected and time.monotonic() < since + PATIENCE:
        before, finished = finished, Delivery.objects.filter(state__in=FINISHED).count()
        if finished > before:
            since = time.monotonic()
        time.sleep(0.2)
    ledger.load_rolled_back(ROLLED_BACK.glob("rolled-back-*.txt"))
    return {
        "events": {number: ledger.events_in(number) for number in rounds},
        "deliveries": expected,
        "finished": finished,
        "troubles": [str(trouble) for trouble in ledger.of_all()],
    }


COMMANDS = {
    command.__name__: command for command in (prepare, load, backlog, shares, ran, settle, wait_for_effects)
}

if __name__ == "__main__":
    django.setup()
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
