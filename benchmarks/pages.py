"""The admin's pages over a million deliveries of the last hour: milliseconds from request to response."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.place import place
from benchmarks.report import add_options, machine, tell
from benchmarks.subjects.unfinished import SETTLED

RECEIVERS = 4
# Of a page, after one that doesn't count.
REQUESTS = 9
# Milliseconds a page may take on PostgreSQL.
GOAL = 300
# One in so many is a dead letter; as many wait.
DEAD = WAITING = 250


def main() -> None:
    options = arguments()
    with place():
        fill(options.deliveries, options.unfinished)
        count_minutes()
        found = {f"{name}, ms": median(times) for name, times in measured().items()}
        tell("pages", found | machine(), vars(options))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.pages", description=__doc__.split(":", 1)[0])
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument(
        "--unfinished", type=int, help="the latest so many of them; without it, 1 in 250 waits"
    )
    add_options(parser, "pages")
    return parser.parse_args()


def fill(deliveries: int, unfinished: int | None = None) -> None:
    """Inside the database: events of the last hour, and what became of their deliveries.

    Of those that are unfinished, one in ten is with a worker, and one in ten failed before; all others just wait.
    """
    from django.db import connection, transaction

    sqlite = connection.vendor == "sqlite"
    events = deliveries // RECEIVERS
    numbers = _NUMBERS[connection.vendor].format(count=events)
    id = "printf('%032x', n)" if sqlite else "lpad(to_hex(n), 32, '0')::uuid"
    # The oldest an hour ago, the latest now.
    ago = f"3600.0 * ({events} - n) / {events}"
    at = (
        f"datetime('now', printf('-%.3f seconds', {ago}))"
        if sqlite
        else f"now() - {ago} * interval '1 second'"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO offload_event (id, type, subject, correlation_id, receivers, published, envelope, emitted_at) "  # noqa: S608 - our own words
            f"{numbers} SELECT {id}, 'library.book.updated', 'library.book/' || n, {id}, '{{}}', '[]', '{{}}', {at} "
            "FROM numbers"
        )
        for receiver in range(RECEIVERS):
            number = f"(n * {RECEIVERS} + {receiver})"
            dead, left, sent, failed = conditions(number, deliveries, unfinished)
            cursor.execute(
                "INSERT INTO offload_delivery (event_id, receiver, queue, state, tries, attempt, worker, careful, "  # noqa: S608 - as above
                "reason, error, fingerprint, next_at, started_at, finished_at) "
                f"{numbers} SELECT {id}, 'benchmarks.receiver_{receiver}', 'default', "
                f"CASE WHEN {dead} THEN 'dead' WHEN {sent} THEN 'sent' WHEN {left} THEN 'waiting' ELSE 'done' END, "
                f"CASE WHEN {failed} THEN 1 ELSE 0 END, 0, 'one', FALSE, '', "
                f"CASE WHEN {dead} THEN 'ValueError: ' || n % 20 ELSE '' END, "
                f"CASE WHEN {dead} THEN 'kind ' || n % 20 ELSE '' END, "
                f"CASE WHEN {left} THEN {at} END, {at}, CASE WHEN {left} THEN NULL ELSE {at} END FROM numbers"
            )
    with connection.cursor() as cursor:
        for statement in SETTLED[connection.vendor]:
            cursor.execute(statement)


def conditions(number: str, deliveries: int, unfinished: int | None) -> tuple[str, str, str, str]:
    """Of the delivery of that number: dead, unfinished, sent, failed before."""
    if unfinished is None:
        return f"{number} % {DEAD} = 0", f"{number} % {WAITING} = 1", "1 = 0", "1 = 0"
    left = f"{number} >= {deliveries - unfinished}"
    # By events: each receiver has some of all.
    return (
        f"({number} % {DEAD} = 0 AND NOT {left})",
        left,
        f"({left} AND n % 10 = 0)",
        f"({left} AND n % 10 = 1)",
    )


_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})",
    "postgresql": "WITH numbers AS (SELECT n FROM generate_series(1, {count}) AS n)",
}


def count_minutes() -> None:
    """As the relays would have, in the course of the hour."""
    from events.relay.metering import Reader

    for _ in Reader("default").read():
        pass


def measured() -> Mapping[str, list[float]]:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client
    from django.urls import reverse

    from events.models import EventRecord

    call_command("collectstatic", interactive=False, verbosity=0)
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.create_superuser("benchmark"))
    deliveries = reverse("admin:offload_delivery_changelist")
    latest = EventRecord.objects.latest("pk")
    pages = {
        "health": reverse("admin:offload_minute_changelist"),
        "flow map": reverse("admin:offload_flowmap_changelist"),
        "deliveries": deliveries,
        "deliveries, dead letters": f"{deliveries}?state__exact=dead",
        "events": reverse("admin:offload_eventrecord_changelist"),
        "an event": reverse("admin:offload_eventrecord_change", args=[latest.pk]),
        "failures": reverse("admin:offload_failure_changelist"),
    }
    return {
        name: [milliseconds(client, page) for _ in range(REQUESTS + 1)][1:] for name, page in pages.items()
    }


def milliseconds(client: Any, page: str) -> float:
    began = time.perf_counter()
    # As deployed: the site answers plain requests with the way to https.
    response = client.get(page, secure=True)
    took = (time.perf_counter() - began) * 1e3
    if response.status_code != 200:
        raise SystemExit(f"{page} answers {response.status_code}.")
    return took


if __name__ == "__main__":
    main()
