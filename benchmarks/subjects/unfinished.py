"""A backlog of the bus that nobody works off: rows as its emitter and relay leave them, made by the database itself."""

from __future__ import annotations

RECEIVERS = 4
# A month from now, and a second ago.
_LATER = {"sqlite": "datetime('now', '+30 days')", "postgresql": "now() + interval '30 days'"}
_DUE = {"sqlite": "datetime('now', '-1 seconds')", "postgresql": "now() - interval '1 second'"}
_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})",
    "postgresql": "WITH numbers AS (SELECT n FROM generate_series(1, {count}) AS n)",
}
_ID = {"sqlite": "printf('%032x', n)", "postgresql": "lpad(to_hex(n), 32, '0')::uuid"}
# As tables that have grown to that are: measured is what they cost, and not the end of what put the rows there.
SETTLED = {
    "sqlite": ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "postgresql": ("VACUUM (ANALYZE) offload_event", "VACUUM (ANALYZE) offload_delivery", "CHECKPOINT"),
}
# What an envelope of these models is long.
_ENVELOPE = "x" * 900


def insert(deliveries: int) -> None:
    from django.db import connection, transaction

    kind = connection.vendor
    numbers, id = _NUMBERS[kind].format(count=max(1, deliveries // RECEIVERS)), _ID[kind]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_events(numbers, id))
        for receiver in range(RECEIVERS):
            # Half are due, for a queue that nobody serves; half are for later, in the one that is served.
            cursor.execute(_deliveries(numbers, id, receiver, *_where(kind, receiver)))
    with connection.cursor() as cursor:
        for statement in SETTLED[kind]:
            cursor.execute(statement)


def _where(kind: str, receiver: int) -> tuple[str, str]:
    return ("elsewhere", _DUE[kind]) if receiver % 2 else ("default", _LATER[kind])


def _events(numbers: str, id: str) -> str:
    return f"""
        INSERT INTO offload_event (id, type, subject, correlation_id, receivers, published, envelope, emitted_at)
        {numbers} SELECT {id}, 'subjects.item.created', 'subjects.item/0', {id}, '{{}}', '[]', '{_ENVELOPE}',
        CURRENT_TIMESTAMP FROM numbers
    """  # noqa: S608 -- our own words


def _deliveries(numbers: str, id: str, receiver: int, queue: str, next_at: str) -> str:
    name = f"benchmarks.subjects.ours.mark_{receiver}"
    return f"""
        INSERT INTO offload_delivery (event_id, receiver, queue, state, tries, attempt, next_at, worker, careful,
        reason, error)
        {numbers} SELECT {id}, '{name}', '{queue}', 'waiting', 1, 1, {next_at}, '', false, '', '' FROM numbers
    """  # noqa: S608 -- the same
