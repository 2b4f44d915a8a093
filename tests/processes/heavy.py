"""A process that emits much in one transaction, and says how much memory that took: see test_large."""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable

import django


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("saves", "essays", "told"))
    parser.add_argument("count", type=int)
    parser.add_argument("--characters", type=int, default=10)
    options = parser.parse_args()
    django.setup()
    from django.db import transaction

    # Whatever is made at the first time: connections, plans, statements.
    emitter(options.what, 10)()
    emit = emitter(options.what, options.characters)
    before = peak()
    with transaction.atomic():
        for _ in range(options.count):
            emit()
    sys.stdout.write(f"{peak() - before:.0f}\n")


def emitter(what: str, characters: int) -> Callable[[], object]:
    from tests.shop.models import Essay, Item
    from tests.shop.signals import told

    makers: dict[str, Callable[[], object]] = {
        "saves": lambda: Item.objects.create(title="x" * characters),
        "essays": lambda: Essay.objects.create(text="x" * characters),
        "told": lambda: told.send(text="x" * characters),
    }
    return makers[what]


def peak() -> float:
    """MiB resident at most, until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
