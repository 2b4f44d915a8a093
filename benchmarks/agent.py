"""The process that saves, as a web process does: told what to do by lines of JSON, it answers with lines of JSON.

It runs under its subject's settings, with its subject's Python; all times are taken in here.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any

COMMANDS: dict[str, Callable[..., Any]] = {}


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    COMMANDS[function.__name__] = function
    return function


def _new(model: str, number: int) -> Any:
    """A row as others are, of texts that have little in common with those of the next one."""
    from django.apps import apps

    chance = random.Random(number)
    return apps.get_model("subjects", model)(
        title=_text(chance, 5),
        author=_text(chance, 2),
        description=_text(chance, 40),
        pages=chance.randrange(80, 900),
        price=Decimal(chance.randrange(500, 9000)) / 100,
        added_at=datetime.fromtimestamp(1_700_000_000 + chance.random() * 1e7, UTC),
    )


def _text(chance: random.Random, words: int) -> str:
    """Of words no two of which are alike: no compression makes less of it than of a language."""
    return " ".join(
        "".join(chance.choices("etaoinshrdlucmfwypvbgkjqxz", _FREQUENCIES, k=chance.randrange(2, 10)))
        for _ in range(words)
    )


# Of the letters above, in English.
_FREQUENCIES = (13, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, 3, 3, 2, 2, 2, 2, 2, 1, 1, 2, 1, 1, 1, 1, 1)


@command
def prepare() -> None:
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, interactive=False, verbosity=0)
    _of_subject("prepare", lambda: None)()


def _of_subject(name: str, *default: Any) -> Any:
    from django.conf import settings

    return getattr(import_module(settings.SUBJECT), name, *default)


@command
def clear() -> None:
    """Every table empty, and ids from 1."""
    from django.core.management.color import no_style
    from django.db import connection

    kept = {"django_migrations", "django_content_type", "auth_permission"}
    with connection.cursor() as cursor:
        tables = [table for table in connection.introspection.table_names(cursor) if table not in kept]
    connection.ops.execute_sql_flush(
        connection.ops.sql_flush(no_style(), tables, reset_sequences=True, allow_cascade=True)
    )


# Nanoseconds of one transaction with its commit, and of the CPU those of its own thread.
Time = tuple[int, int]


@contextmanager
def _timed(times: list[Time]) -> Iterator[None]:
    from django.db import transaction

    cpu, began = time.thread_time_ns(), time.perf_counter_ns()
    with transaction.atomic():
        yield
    times.append((time.perf_counter_ns() - began, time.thread_time_ns() - cpu))


@command
def save(model: str, count: int, park_every: int = 0, rest: float = 0.0) -> list[Time]:
    """One save in each transaction; seconds of rest after each."""
    times: list[Time] = []
    for number in range(count):
        thing = _new(model, number)
        with _timed(times):
            thing.save()
        if park_every and number % park_every == park_every - 1:
            park()
        if rest:
            time.sleep(rest)
    return times


@command
def save_in_turn(
    models: list[str], count: int, block: int, park_every: int = 0, rest: float = 0.0
) -> dict[str, list[Time]]:
    """`save` of each model, a block at a time, so that what slows the machine down slows all of them.

    Between blocks it waits for what a thread may still have to do for the one before.
    """
    times: dict[str, list[Time]] = {model: [] for model in models}
    while len(times[models[-1]]) < count:
        for model in models:
            times[model] += save(model, block, park_every, rest)
            time.sleep(0.05)
            if park_every:
                park()
    return times


@command
def bulk(model: str, count: int) -> list[Time]:
    """So many saves in a transaction."""
    times: list[Time] = []
    things = [_new(model, number) for number in range(count)]
    with _timed(times):
        for thing in things:
            thing.save()
    return times


@command
def pace(model: str, count: int, rate: float) -> list[tuple[int, int]]:
    """The id of each row and when its transaction was committed: single saves, that many a second."""
    from django.db import transaction

    committed: list[tuple[int, int]] = []
    began = time.perf_counter()
    for number in range(count):
        thing = _new(model, number)
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        with transaction.atomic():
            # The first of all that happens after the commit.
            transaction.on_commit(lambda: committed.append((0, time.perf_counter_ns())))
            thing.save()
        committed[-1] = (thing.pk, committed[-1][1])
    return committed


@command
def call_with_data(count: int) -> None:
    """Tasks with all of a row as arguments, as those write them who don't want to fetch it."""
    from celery import current_app
    from django.core.serializers import serialize

    for number in range(count):
        thing = _new("Item", number)
        thing.pk = number + 1
        [row] = json.loads(serialize("json", [thing]))
        # Of no task, whose signature would have to fit: nobody takes them.
        current_app.send_task("with_data", kwargs={"instance": row, "created": True})


@command
def pretend(deliveries: int) -> None:
    """So many that are not finished and won't be: see `benchmarks.subjects.unfinished`."""
    from benchmarks.subjects.unfinished import insert

    insert(deliveries)


@command
def park() -> None:
    """What is in the queue goes aside, as if a worker had taken it: nobody waits behind a long queue."""
    import redis

    # Celery's name of a list has a place for each priority; these have none.
    with suppress(redis.ResponseError):
        _broker().rename("default", f"parked:{time.perf_counter_ns()}")


def _broker(found: list[Any] = []) -> Any:  # noqa: B006 -- one client for the process
    import redis
    from django.conf import settings

    if not found:
        found.append(redis.Redis.from_url(settings.CELERY_BROKER_URL))
    return found[0]


@command
def waiting() -> int | None:
    """Deliveries that are stored and not made, of a subject that can tell."""
    return _of_subject("waiting", lambda: None)()


@command
def recorded() -> int:
    """Deliveries of which the subject itself has written down that they are done."""
    return int(_of_subject("recorded")())


@command
def inserted() -> tuple[int, int]:
    """Rows of receivers that insert one, and how many different ones they are."""
    from benchmarks.subjects.models import Inserted

    rows = Inserted.objects.all()
    return rows.count(), rows.values("receiver", "event").distinct().count()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # What anything prints is for the log.
    os.dup2(2, 1)
    import django

    django.setup()
    from django.conf import settings

    import_module(settings.CELERY_MODULE)

    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps(COMMANDS[asked.pop("do")](**asked)) + "\n")


if __name__ == "__main__":
    main()
